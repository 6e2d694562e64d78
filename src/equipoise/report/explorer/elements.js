// The elements of the page. Names from outside are inserted as text, never as markup.

const byId = (id) => document.getElementById(id);

/** Create an element with children. Names with a dash, `role` and `for` are set as attributes, others as properties. */
function element(tag, properties = {}, ...children) {
  const result = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") result.setAttribute(name, value);
    else result[name] = value;
  }
  result.append(...children);
  return result;
}

/** Format a number with two decimals and a true minus sign. */
function signed(value) {
  return value.toFixed(2).replace("-0.00", "0.00").replace("-", "−");
}

/** Show a sentence in the status line, which screen readers read out. */
function showStatus(sentence) {
  byId("status").textContent = sentence;
}

/** Download a file under a name that is valid on every system. */
function save(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name.replace(/[^\w.-]+/g, "_") }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  showStatus(`Saved ${name}.`);
}
