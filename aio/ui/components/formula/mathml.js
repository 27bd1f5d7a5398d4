/**
 * MathML from a string to the page, by way of lists of what may stand there: the same lists as in aio/ui/formula.py.
 */

const NAMESPACE = "http://www.w3.org/1998/Math/MathML";

const ELEMENTS = new Set(
  (
    "math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd " +
    "mphantom mpadded mstyle"
  ).split(" "),
);

const ATTRIBUTES = new Set(
  (
    "mathvariant stretchy fence form movablelimits accent accentunder width height depth columnalign displaystyle " +
    "scriptlevel linethickness lspace rspace minsize maxsize"
  ).split(" "),
);

const parser = new DOMParser();

/**
 * Shows a formula in place of the one that is there, and keeps every node that both have.
 *
 * @param {HTMLElement} holder
 * @param {string} mathml one <math> element; empty for nothing
 */
export function show(holder, mathml) {
  if (!mathml) return holder.replaceChildren();
  try {
    const wanted = allowed(parser.parseFromString(mathml, "application/xml").documentElement);
    const there = holder.firstElementChild;
    if (!there || holder.childNodes.length !== 1) holder.replaceChildren(wanted);
    else bring(there, wanted);
  } catch (error) {
    console.warn("A formula could not be drawn.", error);
    holder.textContent = "This formula could not be drawn.";
  }
}

/** @param {Element} source @returns {Element} a copy, of known parts only */
function allowed(source) {
  if (source.namespaceURI !== NAMESPACE || !ELEMENTS.has(source.localName)) throw new Error(`<${source.nodeName}>`);
  const copy = document.createElementNS(NAMESPACE, source.localName);
  for (const { name, value } of source.attributes) {
    if (name === "xmlns") continue;
    if (!ATTRIBUTES.has(name)) throw new Error(`the attribute ${name}`);
    copy.setAttribute(name, value);
  }
  for (const child of source.childNodes) {
    copy.append(child.nodeType === Node.TEXT_NODE ? child.data : allowed(/** @type {Element} */ (child)));
  }
  return copy;
}

/**
 * Makes one node equal to another, and touches only where they differ: numbers change, the formula stands.
 *
 * @param {Element} there @param {Element} wanted
 */
function bring(there, wanted) {
  const same = there.nodeName === wanted.nodeName && there.childNodes.length === wanted.childNodes.length;
  if (!same || attributes(there) !== attributes(wanted)) {
    there.replaceWith(wanted);
    return;
  }
  // Pairs first: a wanted child that takes a place leaves its own list.
  const pairs = [...there.childNodes].map((child, i) => [child, wanted.childNodes[i]]);
  for (const [child, other] of pairs) {
    if (child.nodeType !== Node.TEXT_NODE || other.nodeType !== Node.TEXT_NODE) bring(child, other);
    else if (child.data !== other.data) child.data = other.data;
  }
}

/** @param {Element} node */
function attributes(node) {
  return [...(node.attributes ?? [])].map(({ name, value }) => `${name}=${value}`).join();
}
