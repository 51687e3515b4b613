"use strict";
// Comfort only: everything on the page can be read without it.
(() => {
  const cases = [...document.querySelectorAll(".case")];
  const texts = cases.map((each) => {
    const file = each.closest(".file").querySelector("h2").textContent;
    return (file + " " + each.querySelector("summary").textContent).toLowerCase();
  });
  const find = document.getElementById("find");
  const found = document.getElementById("found");
  document.querySelector(".tools").hidden = false;

  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    cases.forEach((each, at) => {
      each.hidden = !words.every((word) => texts[at].includes(word));
      count += !each.hidden;
    });
    document.querySelectorAll(".file").forEach((file) => {
      file.hidden = words.length > 0 && !file.querySelector(".case:not([hidden])");
    });
    found.textContent = words.length ? count + " of " + cases.length : "";
  };
  let waiting = 0;
  find.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 80);
  });

  const all = (open) => () => cases.forEach((each) => {
    if (each.checkVisibility ? each.checkVisibility() : !each.hidden) each.open = open;
  });
  document.getElementById("expand").addEventListener("click", all(true));
  document.getElementById("collapse").addEventListener("click", all(false));

  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let box = target && target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  if (navigator.clipboard) {
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button.copy");
      if (!button) return;
      navigator.clipboard.writeText(button.previousElementSibling.textContent).then(() => {
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
    });
    document.addEventListener("toggle", (event) => {
      if (!event.target.open) return;
      event.target.querySelectorAll("pre.cmd").forEach((pre) => {
        if (pre.nextElementSibling && pre.nextElementSibling.className === "copy") return;
        const button = document.createElement("button");
        button.type = "button";
        button.className = "copy";
        button.textContent = "Copy";
        pre.after(button);
      });
    }, true);
  }
})();
