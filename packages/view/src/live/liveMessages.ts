/**
 * What a recording and the thread of its page tell each other.
 */
import type { EventRow } from "@sampleline/core"
import type { LiveSource, LiveStatus } from "./LiveHistory.ts"
import type { ServerOptions } from "./ViewServer.ts"

/** What the thread begins with. */
export interface LiveStart {
  readonly title: string
  readonly server: Omit<ServerOptions, "onPages">
}

/** To the thread. */
export type ToPage =
  | {
    readonly say: "news"
    readonly events: ReadonlyArray<EventRow>
    readonly sources: ReadonlyArray<LiveSource>
    /** Samples one after the other: the number of the source, the time, and a value for each of its fields. */
    readonly numbers: Float64Array
    /** Null: nobody looks. */
    readonly status: LiveStatus | null
  }
  | { readonly say: "marked"; readonly id: number; readonly at: number }
  | { readonly say: "notMarked"; readonly id: number; readonly why: string }
  | { readonly say: "end" }

/** From the thread. */
export type FromPage =
  | { readonly say: "listening"; readonly url: string }
  | { readonly say: "failed"; readonly why: string }
  /** News were taken. */
  | { readonly say: "taken" }
  | { readonly say: "pages"; readonly pages: number }
  | { readonly say: "mark"; readonly id: number; readonly text: string }
  | { readonly say: "closed" }
