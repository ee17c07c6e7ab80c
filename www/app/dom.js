// @ts-check
// Small tools for changing the page without janking it. Everything that changes with the worker's
// reports is drawn in one animation frame: a hidden page draws nothing, and a burst of reports costs
// one update. Values are compared before they are written, so an unchanged node costs no layout.

/**
 * An element that must exist: index.html and the scripts come from one place.
 * @template {Element} T
 * @param {string} selector
 * @param {new (...args: any[]) => T} kind
 * @param {ParentNode} [root]
 * @returns {T}
 */
export function find(selector, kind, root = document) {
  const node = root.querySelector(selector);
  if (!(node instanceof kind)) throw new Error(`the page lacks ${selector}`);
  return node;
}

/** @param {Node} node @param {string} value */
export function setText(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** @param {Element & {hidden: boolean}} node @param {boolean} visible */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/**
 * A new element with text and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {{class?: string, text?: string, title?: string}} [options]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  if (options.class) node.className = options.class;
  if (options.text !== undefined) node.textContent = options.text;
  if (options.title) node.title = options.title;
  node.append(...children);
  return node;
}

/** Calls `draw` once in the next frame, however often it was asked for. */
export class Frame {
  #asked = 0;
  /** @param {() => void} draw */
  constructor(draw) {
    this.draw = draw;
  }
  request() {
    this.#asked ||= requestAnimationFrame(() => {
      this.#asked = 0;
      this.draw();
    });
  }
}

/**
 * Defines an element unless the name is taken (the page may be loaded twice in one document).
 * @param {string} name
 * @param {CustomElementConstructor} element
 */
export function define(name, element) {
  if (!customElements.get(name)) customElements.define(name, element);
}
