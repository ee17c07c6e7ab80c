export interface WalletUrlOptions {
  /** The tab's key, hex. */
  authorise?: string;
  /** The run's id, hex. */
  run?: string;
  /** Folder of the wallet's page on the operator's origin. Default `/`. */
  base?: string;
}

/** The address of the wallet's page. */
export function walletUrl(operator: string, options?: WalletUrlOptions): string;

export interface AuthoriseOptions {
  /** The operator's address; it must be of this page's own origin. */
  operator: string;
  volunteer: string;
  run: string;
  base?: string;
  /** Usually `(text) => contributor.sign(text)`. */
  sign: (text: string) => Promise<string>;
  signal?: AbortSignal;
}

/** Opens the wallet in a window; resolves with the account that the tab now works for. Call it in a click. */
export function authorise(options: AuthoriseOptions): Promise<{ account: string }>;
