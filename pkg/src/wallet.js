// @ts-check
// The wallet's page, opened top level in a window of the operator's own origin. It asks for one thing:
// that the tab's key signs the text the wallet has signed. Origin and window are checked, both ways.
//
// What a reader would get wrong: the wallet page speaks with pages of its own origin only. Elsewhere
// `authorise` says so at once; use <covey-contribute>, whose frame has that origin.

/**
 * The address of the wallet's page.
 * @param {string} operator
 * @param {{authorise?: string, run?: string, base?: string}} [options]
 */
export function walletUrl(operator, { authorise, run, base = "/" } = {}) {
  const url = new URL("wallet.html", new URL(base, operator));
  if (authorise) url.searchParams.set("authorise", authorise);
  if (run) url.searchParams.set("run", run);
  return url.href;
}

/**
 * Opens the wallet so that its owner can let a tab's key work for their account. Call it in a click.
 * @param {{operator: string, volunteer: string, run: string, base?: string, sign: (text: string) => Promise<string>, signal?: AbortSignal}} options
 * @returns {Promise<{account: string}>}
 */
export function authorise({ operator, volunteer, run, base, sign, signal }) {
  const address = walletUrl(operator, { authorise: volunteer, run, ...(base ? { base } : {}) });
  const { origin } = new URL(address);
  return new Promise((resolve, reject) => {
    if (origin !== location.origin) return reject(new Error(`the wallet of ${origin} answers pages of ${origin} only`));
    const opened = open(address, "covey-wallet", "popup,width=520,height=760");
    if (!opened) return reject(new Error("the browser blocked the wallet's window"));
    const end = () => {
      removeEventListener("message", heard);
      clearInterval(watching);
    };
    const heard = async (/** @type {MessageEvent} */ event) => {
      if (event.origin !== origin || event.source !== opened) return;
      const { type, text, account } = event.data ?? {};
      if (type === "covey-session-request" && typeof text === "string") {
        const answer = await sign(text).then((signature) => ({ signature, error: null }), (error) => ({ signature: null, error: String(error?.message ?? error) }));
        opened.postMessage({ type: "covey-session-signature", ...answer }, origin);
      }
      if (type === "covey-session-done" && typeof account === "string") {
        end();
        resolve({ account });
      }
    };
    const watching = setInterval(() => {
      if (!opened.closed) return;
      end();
      reject(new Error("the wallet was closed"));
    }, 500);
    addEventListener("message", heard);
    signal?.addEventListener("abort", () => {
      end();
      reject(signal.reason);
    });
  });
}
