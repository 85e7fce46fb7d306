/** Elements of the page, made and found. Text goes in as text, never as markup. */

export function byId(id) {
  return document.getElementById(id);
}

/**
 * A new element. `properties` are set on it; `class`, `aria-*` and `role` as attributes; null ones are left out.
 * Children are elements or text.
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (/^(class$|role$|aria-|scope$)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A table. A cell is text, or `{text, class}`; columns whose title ends in a space hold numbers. */
export function table(titles, rows) {
  const numeric = titles.map((title) => title.endsWith(" "));
  const cell = (value, column) => {
    const { text, class: name } = value !== null && typeof value === "object" ? value : { text: value };
    const classes = [numeric[column] ? "number" : "", name ?? ""].filter(Boolean).join(" ");
    return make("td", { class: classes || null }, String(text ?? "not measured"));
  };
  const head = titles.map((title, i) => make("th", { scope: "col", class: numeric[i] ? "number" : null }, title.trim()));
  return make(
    "table",
    {},
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell)))),
  );
}

/** A color or another custom property of the page, as it is in the color scheme in use. */
export function theme(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
