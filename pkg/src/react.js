// @ts-check
// The element as a React component: attributes from props, events to callbacks, the element itself
// through `ref`. React 18 does not listen to custom events, so they are attached here for all versions.

import { createElement, forwardRef, useEffect, useImperativeHandle, useRef } from "react";

const EVENTS = /** @type {const} */ (["ready", "state", "progress", "receipt", "error"]);

/** @type {any} */
export const CoveyContribute = forwardRef(function CoveyContribute(/** @type {any} */ props, ref) {
  const { onReady, onState, onProgress, onReceipt, onError, power, ...rest } = props;
  const element = useRef(/** @type {HTMLElement | null} */ (null));
  const callbacks = useRef(/** @type {Record<string, ((detail: any) => void) | undefined>} */ ({}));
  callbacks.current = { ready: onReady, state: onState, progress: onProgress, receipt: onReceipt, error: onError };
  useImperativeHandle(ref, () => element.current);
  useEffect(() => {
    const node = element.current;
    if (!node) return undefined;
    const stop = new AbortController();
    for (const name of EVENTS) {
      node.addEventListener(`covey-${name}`, (event) => callbacks.current[name]?.(/** @type {CustomEvent} */ (event).detail), { signal: stop.signal });
    }
    // Registered in the browser only, so that a server can render this; and after the listeners, so
    // that nothing is missed.
    import("./embed.js");
    return () => stop.abort();
  }, []);
  return createElement("covey-contribute", { ...rest, ref: element, power: power === undefined ? undefined : String(power) });
});
