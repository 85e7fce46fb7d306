/** What this browser calls itself, in few words. */
export function browserName(agent = navigator.userAgent) {
  const names = [["Firefox", /Firefox\/(\d+)/], ["Edge", /Edg\/(\d+)/], ["Opera", /OPR\/(\d+)/], ["Chrome", /Chrom(?:e|ium)\/(\d+)/], ["Safari", /Version\/(\d+).*Safari/]];
  const known = names.map(([name, pattern]) => [name, pattern.exec(agent)?.[1]]).find(([, version]) => version);
  const systems = [["Android", /Android/], ["iOS", /iPhone|iPad/], ["Windows", /Windows/], ["macOS", /Mac OS X/], ["Linux", /Linux/]];
  const system = systems.find(([, pattern]) => pattern.test(agent))?.[0];
  return [known ? `${known[0]} ${known[1]}` : "this browser", system].filter(Boolean).join(", ");
}
