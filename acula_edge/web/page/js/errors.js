/** An error that the person at the page can mend: shown as it is, without a stack. */
export class PageError extends Error {
  /**
   * @param {string} problem one sentence: what went wrong and where
   * @param {string} [remedy] what to do next
   */
  constructor(problem, remedy) {
    super(problem);
    this.name = "PageError";
    this.remedy = remedy ?? null;
  }
}
