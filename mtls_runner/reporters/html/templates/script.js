"use strict";
// Comfort only: everything on the page can be read without it.
(() => {
  const cases = [...document.querySelectorAll(".case")];
  const texts = cases.map((each) => {
    const file = each.closest(".file").querySelector("h2").textContent;
    return (file + " " + each.querySelector("summary").textContent).toLowerCase();
  });
  const groups = [...document.querySelectorAll(".group")];
  const tools = document.querySelector(".tools");
  const find = document.getElementById("find");
  const found = document.getElementById("found");
  if (tools) tools.hidden = false;

  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    cases.forEach((each, at) => {
      each.hidden = !words.every((word) => texts[at].includes(word));
      count += !each.hidden;
    });
    document.querySelectorAll(".group, .file").forEach((box) => {
      box.hidden = words.length > 0 && !box.querySelector(".case:not([hidden])");
    });
    found.textContent = words.length ? count + " of " + cases.length : "";
  };
  const all = (open) => () => {
    if (open) groups.forEach((each) => { each.open = true; });
    cases.filter((each) => !open || each.checkVisibility()).forEach((each) => { each.open = open; });
    if (!open) groups.forEach((each) => { each.open = false; });
  };
  if (tools) {
    find.addEventListener("input", filter);
    document.getElementById("expand").addEventListener("click", all(true));
    document.getElementById("collapse").addEventListener("click", all(false));
    if (find.value) filter();
  }

  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let box = target && target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  const copyable = (box) => box.querySelectorAll("pre.cmd").forEach((pre) => {
    if (pre.parentElement.className === "copyable") return;
    const frame = document.createElement("div");
    const button = document.createElement("button");
    frame.className = "copyable";
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", () => navigator.clipboard.writeText(pre.textContent).then(() => {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    }));
    pre.replaceWith(frame);
    frame.append(pre, button);
  });
  if (navigator.clipboard) {
    document.querySelectorAll(".case[open]").forEach(copyable);
    document.addEventListener("toggle", (event) => {
      if (event.target.open && event.target.classList.contains("case")) copyable(event.target);
    }, true);
  }
})();
