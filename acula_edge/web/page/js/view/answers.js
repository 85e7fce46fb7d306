/** Answers of the tasks: bars with thresholds, or why there is nothing to say. */

import { make } from "./elements.js";

/**
 * @param answers by task id, see scores.js
 * @param {{measurable: boolean, reasons: string[], tasks: object[], windows?: Float32Array[], chosen?: number}} context
 *   scores of the single windows and which of them is shown; live, the only
 *   one is the last
 */
export function answerCards(answers, context) {
  return Object.entries(answers).map(([id, answer]) => {
    const heading = make("h3", {}, make("span", {}, answer.name), make("span", {}, id));
    return make("article", { class: "task" }, heading, ...body(id, answer, context));
  });
}

function body(id, answer, context) {
  if (!context.measurable) {
    return [make("p", { class: "answer none" }, `not measurable: ${context.reasons.join("; ")}`)];
  }
  if (answer.scores) return [answerLine(answer.label), classBars(answer)];
  if (answer.kind === "binary") return binary(id, answer, context);
  return [answerLine(`${answer.score.toPrecision(4)} ${answer.unit}`.trim())];
}

function binary(id, answer, { tasks, windows = [], chosen, live }) {
  const column = tasks.find((task) => task.id === id).start;
  const values = windows.map((scores) => scores[column]);
  const bar = scoreBar(answer.score, answer.name, answer.above === true);
  if (answer.threshold !== null) bar.append(at(make("div", { class: "mark", title: "threshold" }), answer.threshold));
  if (values.length > 1 || live) {
    values.forEach((value, i) => {
      bar.append(at(make("div", { class: i === chosen ? "window chosen" : "window", title: `window ${i + 1}: ${value.toFixed(3)}` }), value));
    });
  }
  const numbers = [`score ${answer.score.toFixed(3)}`];
  numbers.push(answer.threshold === null ? "no threshold was chosen" : `threshold ${answer.threshold.toFixed(3)} (line)`);
  if (live) numbers.push(`last window (dot) ${values[0].toFixed(3)}`);
  else if (values.length > 1) numbers.push(`${values.length} windows (dots) ${Math.min(...values).toFixed(3)} to ${Math.max(...values).toFixed(3)}`);
  return [answerLine(answer.label ?? "not decided"), bar, make("p", { class: "numbers" }, numbers.join(" · "))];
}

function classBars(answer) {
  const rows = Object.entries(answer.scores).flatMap(([label, value]) => {
    const bar = scoreBar(value, label, false);
    bar.classList.add("thin");
    return [make("span", {}, label), bar, make("span", { class: "value" }, value.toFixed(3))];
  });
  return make("div", { class: "classes" }, ...rows);
}

function scoreBar(value, name, above) {
  const fill = make("div", { class: "fill" });
  fill.style.width = `${100 * value}%`;
  const meter = { role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 1, "aria-valuenow": value.toFixed(3) };
  return make("div", { class: above ? "bar above" : "bar", ...meter }, fill);
}

function at(element, share) {
  element.style.left = `${100 * share}%`;
  return element;
}

function answerLine(text) {
  return make("p", { class: "answer" }, text);
}
