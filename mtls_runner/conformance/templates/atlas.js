"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("filters"), table = document.getElementById("matrix"), dialog = document.getElementById("cell");
const ACCEPTED = new Set(["accepted", "answered", "server-started"]);
const STARTS = { "server-started": true, "server-unusable": false };
const KINDS = { skipped: "–", gap: "–", broken: "!" };
let view = "server";
for (const one of data.cases) {
  one.cells = one.cells.map(([server, client, tls, seen, ...more]) => {
    const place = { server, client, tls: data.tls[tls] };
    return seen < 0 ? { ...place, kind: more[0], why: more[1] } : { ...place, kind: "seen", seen, others: more };
  });
}
const hidden = { server: new Set(), client: new Set() };

function make(tag, text, attributes) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  return element;
}
const axis = (cell) => (view === "server" ? cell.server : cell.client);
const ends = () => (view === "server" ? data.servers : data.clients);
const seenOf = (cell) => (cell.seen === undefined ? null : data.seen[cell.seen]);

const MOST_REASONS = 6; // more of them say nothing
function why(seen) {
  const reasons = seen.reasons || [];
  return reasons.length && reasons.length <= MOST_REASONS ? reasons.join(" | ") : "no reason told";
}

// What a group of cells (one case at one end) says in a few words.
function summary(cells) {
  const seen = cells.map(seenOf).filter(Boolean);
  if (!seen.length) return { text: KINDS[cells.length ? cells[0].kind : "skipped"], state: "none", seen };
  const accepted = seen.filter((one) => ACCEPTED.has(one.outcome));
  const refused = seen.filter((one) => !ACCEPTED.has(one.outcome));
  const reasons = [...new Set(refused.map((one) => why(one)))];
  const varies = cells.some((cell) => cell.others && cell.others.length) ? " ~" : "";
  const started = accepted.some((one) => one.outcome === "server-started");
  if (!refused.length) return { text: (started ? "✓ starts" : "✓ let in") + varies, state: "in", seen };
  if (!accepted.length) return { text: "✗ " + reasons.join(", ") + varies, state: "out", seen };
  return { text: "± " + reasons.join(", ") + varies, state: "in", seen };
}

function columns() {
  const library = form.library.value, two = compared();
  if (two.length) return ends().map((end, index) => ({ end, index })).filter(({ end }) => two.includes(end.name));
  return ends().map((end, index) => ({ end, index }))
    .filter(({ end }) => !hidden[view].has(end.name) && (!library || end.library === library));
}

// The two ends that are held against each other; none, unless both are chosen.
function compared() {
  const two = [form.one.value, form.other.value];
  return two[0] && two[1] && two[0] !== two[1] ? two : [];
}
const stand = (group) => (group.state === "out" ? "out" : group.text.startsWith("±") ? "both" : "in");

// Whether one refuses what the other does, in a sentence, and the command that asks both again.
function answer(rows, shown) {
  const box = document.getElementById("answer"), two = compared();
  box.replaceChildren();
  if (!two.length) return;
  const [one, other] = two, at = two.map((name) => shown.findIndex(({ end }) => end.name === name));
  const known = rows.filter(({ groups }) => at.every((index) => groups[index].seen.length));
  const those = (mine, theirs) => known.filter(({ groups }) => stand(groups[at[0]]) === mine && stand(groups[at[1]]) === theirs).length;
  const alike = those("in", "in") + those("out", "out"), faults = (count) => count + (count === 1 ? " fault" : " faults");
  const parts = [`Both refuse ${faults(those("out", "out"))}, and let in ${those("in", "in")}.`];
  parts.push(`${one} alone refuses ${those("out", "in")}, ${other} alone ${those("in", "out")}.`);
  const rest = known.length - alike - those("out", "in") - those("in", "out");
  if (rest) parts.push(`On ${rest} it hangs on the client, the server or the TLS version.`);
  box.append(make("p", parts.join(" ")));
  const differing = known.filter(({ groups }) => stand(groups[at[0]]) !== stand(groups[at[1]])).map((row) => row.name);
  if (differing.length) box.append(copyable("With your own versions, where they differ", again(two, differing)));
}

function differs(groups) {
  const known = groups.map((group) => group.seen).filter((seen) => seen.length);
  return new Set(known.map((seen) => [...new Set(seen.map((one) => (ACCEPTED.has(one.outcome) ? "in" : "out")))].sort().join())).size > 1;
}

function fits(one, groups) {
  const text = form.text.value.trim().toLowerCase();
  if (!one.fault && !form.controls.checked) return false;
  if (text && !(one.name + " " + one.file + " " + one.changes + " " + groups.map((g) => g.text).join(" ")).toLowerCase().includes(text)) return false;
  if (form.differ.checked && !differs(groups)) return false;
  const all = groups.flatMap((group) => group.seen);
  if (form.outcome.value && !all.some((seen) => seen.outcome === form.outcome.value)) return false;
  if (form.reason.value && !all.some((seen) => (seen.reasons || []).includes(form.reason.value))) return false;
  return !form.alert.value || all.some((seen) => seen.alert === form.alert.value);
}

function draw() {
  const shown = columns(), head = make("tr"), body = document.createDocumentFragment();
  head.append(make("th", "fault", { scope: "col" }));
  for (const { end } of shown) {
    const cell = make("th", end.name, { scope: "col" });
    cell.append(make("small", end.told.replace(end.name + " ", "")));
    head.append(cell);
  }
  const judged = [];
  let rows = 0, file = "";
  data.cases.forEach((one, number) => {
    if (!one.judges.includes(view)) return;
    const groups = shown.map(({ index }) => summary(one.cells.filter((cell) => axis(cell) === index)));
    if (one.fault) judged.push({ name: one.name, groups });
    if (!groups.some((group) => group.seen.length || group.text === "!") || !fits(one, groups)) return;
    if (one.file !== file) {
      file = one.file;
      const row = make("tr", undefined, { class: "file" }), cell = make("th", file + " ", { colspan: shown.length + 1 });
      cell.append(make("small", data.files[file]));
      row.append(cell);
      body.append(row);
    }
    const row = make("tr", undefined, one.fault ? {} : { class: "control" });
    row.append(make("th", one.name, { scope: "row" }));
    groups.forEach((group, at) => {
      const cell = make("td", undefined, { class: group.state === "in" && !one.fault ? "" : group.state });
      const text = one.fault ? group.text : group.text.replace("let in", "accepted");
      const button = make("button", text, { type: "button", "data-case": number, "data-end": shown[at].index });
      cell.append(button);
      row.append(cell);
    });
    body.append(row);
    rows += one.fault ? 1 : 0;
  });
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(body);
  document.getElementById("count").textContent = rows + (rows === 1 ? " fault" : " faults") + ", " + shown.length + " columns";
  answer(judged, shown);
  remember();
}

function told(seen) {
  const reasons = seen.reasons || [];
  return seen.outcome + (reasons.length ? ": " + (reasons.length > 1 ? "[" + reasons.join(", ") + "]" : reasons[0]) : "");
}
function expected(seen) {
  const reasons = seen.reasons || [], several = reasons.length > 1 ? "[" + reasons.join(", ") + "]" : reasons[0];
  const tells = reasons.length && reasons.length <= MOST_REASONS;
  if (seen.outcome in STARTS) return "{starts: " + STARTS[seen.outcome] + (tells ? ", reason: " + several : "") + "}";
  return tells ? "{" + seen.outcome + ": " + several + "}" : reasons.length ? "{outcome: " + seen.outcome + "}" : seen.outcome;
}
function filled(text, cell, seen) {
  const server = data.servers[cell.server], expect = expected(seen);
  return text.replaceAll(", DEPTH-HERE", server.depth ? ", verify_depth: 1" : "").replaceAll("SERVER-NAME", server.name.split("@")[0])
    .replaceAll("CLIENT-NAME", cell.client < 0 ? "" : data.clients[cell.client].name).replaceAll("TLS-VERSION", cell.tls).replaceAll("EXPECTED-HERE", expect);
}
function copyable(title, text) {
  const part = document.createDocumentFragment(), heading = make("h3", title + " "), button = make("button", "copy", { type: "button", class: "plain" });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea");
      area.value = text;
      button.after(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "copied";
  });
  heading.append(button);
  part.append(heading, make("pre", text));
  return part;
}

function open(number, index) {
  const one = data.cases[number], end = ends()[index], cells = one.cells.filter((cell) => axis(cell) === index);
  const close = make("button", "close", { type: "button", class: "plain close" });
  close.addEventListener("click", () => dialog.close());
  const rows = make("table"), head = make("tr");
  for (const name of [view === "server" ? "client" : "server", "TLS", "outcome", "alert, status", "verify code", "curl exit"]) head.append(make("th", name));
  rows.append(head);
  const lines = new Set();
  for (const cell of cells) {
    const row = make("tr"), seen = seenOf(cell), other = view === "server" ? data.clients[cell.client] : data.servers[cell.server];
    row.append(make("td", other ? other.name : ""), make("td", cell.tls.replace("TLSv", "")));
    if (!seen) {
      row.append(make("td", cell.kind + ": " + data.whys[cell.why], { colspan: 4 }));
    } else {
      const often = (cell.others || []).map((at) => told(data.seen[at]));
      row.append(make("td", told(seen) + (often.length ? "; in another run " + often.join(", ") : "")));
      row.append(make("td", [seen.alert && seen.alert + " (" + seen.alert_from + "'s)", seen.status && "HTTP " + seen.status].filter(Boolean).join(", ")));
      row.append(make("td", seen.verify_code || ""), make("td", seen.curl_exit === undefined ? "" : seen.curl_exit + (seen.predicted ? " (predicted)" : "")));
      for (const line of seen.lines || []) lines.add(line);
    }
    rows.append(row);
  }
  const wide = make("div", undefined, { class: "wide" });
  wide.append(rows);
  dialog.replaceChildren(close, make("h2", one.name), make("p", end.told), wide);
  if (lines.size) dialog.append(make("h3", "What it wrote"), make("pre", [...lines].join("\n")));
  if (one.control !== undefined) {
    const control = data.cases[one.control], there = summary(control.cells.filter((cell) => axis(cell) === index));
    dialog.append(make("h3", "The control"), make("p", control.name + ": " + there.text.replace("let in", "accepted") + ". What is otherwise here: " + one.changes + "."));
  }
  const first = cells.find((cell) => seenOf(cell));
  if (first) {
    dialog.append(copyable("With your own version", again([end.name], [one.name])));
    const text = seenOf(first).outcome === "server-unusable" ? one.start : one.scenario;
    if (text) dialog.append(copyable("The scenario", filled(text, first, seenOf(first))));
  }
  dialog.showModal();
  dialog.scrollTop = 0;
}
const quoted = (text) => /^[\w@%+=:,.\/-]+$/.test(text) ? text
  : /["$`\\!]/.test(text) ? "'" + text.replaceAll("'", "'\"'\"'") + "'" : '"' + text + '"';

const again = (names, faults) => ["mtls-run conformance", `--${view}s ${names.join(",")}`, ...faults.map((name) => "--fault " + quoted(name))].join(" ");

function choices() {
  for (const select of [form.one, form.other]) {
    select.replaceChildren(make("option", "–", { value: "" }), ...ends().map((end) => make("option", end.name, { value: end.name })));
  }
  const box = document.querySelector("#columns div");
  box.replaceChildren(...ends().map((end) => {
    const label = make("label"), input = make("input", undefined, { type: "checkbox", value: end.name });
    input.checked = !hidden[view].has(end.name);
    input.addEventListener("change", (event) => {
      event.stopPropagation();
      hidden[view][input.checked ? "delete" : "add"](end.name);
      draw();
    });
    label.append(input, end.name);
    return label;
  }));
}

// The address says what is shown, so that it can be passed on.
function remember() {
  const state = new URLSearchParams();
  for (const element of form.elements) {
    if (!element.name || (element.type === "radio" && !element.checked)) continue;
    const value = element.type === "checkbox" ? (element.checked ? "1" : "") : element.value;
    if (value && !(element.name === "view" && value === "server")) state.set(element.name, value);
  }
  if (hidden[view].size) state.set("columns", ends().map((end) => end.name).filter((name) => !hidden[view].has(name)).join());
  history.replaceState(null, "", state.size ? "#" + state : location.pathname + location.search);
}
function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  view = state.get("view") === "client" ? "client" : "server";
  choices();
  for (const element of form.elements) {
    if (!element.name) continue;
    if (element.type === "radio") element.checked = element.value === view;
    else if (element.type === "checkbox") element.checked = state.get(element.name) === "1";
    else element.value = state.get(element.name) || "";
  }
  const names = state.get("columns");
  hidden[view].clear();
  if (names) ends().filter((end) => !names.split(",").includes(end.name)).forEach((end) => hidden[view].add(end.name));
  for (const box of document.querySelectorAll("#columns input")) box.checked = !hidden[view].has(box.value);
}

for (const [name, values] of Object.entries(data.choices)) for (const value of values) form[name].append(make("option", value, { value }));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", (event) => {
  if (view !== form.view.value) {
    view = form.view.value;
    choices();
  }
  if ([form.one, form.other].includes(event.target)) form.differ.checked = compared().length > 0;
  draw();
});
table.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) open(Number(button.dataset.case), Number(button.dataset.end));
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
window.addEventListener("hashchange", () => { recall(); draw(); });
recall();
draw();
