// What the theme leaves out for screen readers and keyboards: names of landmarks, and wide tables that can be scrolled.
const name = (selector, text) =>
  document.querySelectorAll(selector).forEach((part, i) => {
    part.removeAttribute("aria-labelledby");
    part.setAttribute("aria-label", text(part, i));
  });
const complete = () => {
  name(".md-search", () => "Search");
  name(".md-nav .md-nav[aria-labelledby]", (part, i) => `${part.querySelector(".md-nav__title")?.textContent.trim()}, section ${i + 1}`);
  name(".md-code__nav", (part, i) => `Code ${i + 1}`);
  document.querySelectorAll("th:empty").forEach((cell) => cell.replaceWith(document.createElement("td")));
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((part) => (part.tabIndex = 0));
};
window.addEventListener("load", () => setTimeout(complete, 0));
