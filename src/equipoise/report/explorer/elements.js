// The page's elements. Names from outside are only ever text, never markup.

const byId = (id) => document.getElementById(id);

/** An element with properties, attributes where a name has a dash or is `role` or `for`, and children. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** A number to two decimals, with a true minus sign. */
function signed(value) {
  return value.toFixed(2).replace("-0.00", "0.00").replace("-", "−");
}

/** Tell the reader, also one who listens, what was done. */
function say(sentence) {
  byId("status").textContent = sentence;
}

/** Offer a file under a name that any system takes. */
function save(blob, name) {
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: name.replace(/[^\w.-]+/g, "_") }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  say(`Saved ${name}.`);
}
