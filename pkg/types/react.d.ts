import type { ForwardRefExoticComponent, HTMLAttributes, RefAttributes } from "react";
import type {
  CoveyContribute as CoveyContributeElement, ErrorDetail, Power, ProgressDetail, ReadyDetail, ReceiptDetail, StateDetail, Theme,
} from "./embed.js";

export interface CoveyContributeProps extends Omit<HTMLAttributes<CoveyContributeElement>, "onProgress" | "onError" | "children"> {
  run?: string;
  coordinator?: string;
  partner?: string;
  power?: Power;
  theme?: Theme;
  onReady?: (detail: ReadyDetail) => void;
  onState?: (detail: StateDetail) => void;
  onProgress?: (detail: ProgressDetail) => void;
  onReceipt?: (detail: ReceiptDetail) => void;
  onError?: (detail: ErrorDetail) => void;
}

export const CoveyContribute: ForwardRefExoticComponent<CoveyContributeProps & RefAttributes<CoveyContributeElement>>;
