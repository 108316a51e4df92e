/**
 * What a table shows, and for which terminal.
 */
import type { TableSnapshot } from "./LiveTable.ts"

/**
 * How far an output is.
 *
 * @since 0.1.0
 * @category models
 */
export interface OutputView {
  readonly name: string
  /** `waiting`: it fails in passing and is tried again. `stopped`: it has failed for good. */
  readonly state: "writing" | "waiting" | "stopped"
  readonly rows: number
  /** Samples and events that it lacks: 0 if it keeps up, null if that is not known. */
  readonly behind: number | null
  /** Null: not known, these two. */
  readonly bytes: number | null
  readonly freeBytes: number | null
}

/**
 * @since 0.1.0
 * @category models
 */
export interface JournalView {
  readonly name: string
  /** Samples and events that an output still needs. */
  readonly items: number
  /** Null: not known. */
  readonly bytes: number | null
}

/**
 * An alarm that is raised.
 *
 * @since 0.1.0
 * @category models
 */
export interface AlarmView {
  /** What raised it, in one line. */
  readonly text: string
  /** How long ago its condition began to hold. */
  readonly sinceSeconds: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LogLine {
  readonly level: "info" | "warning" | "error"
  readonly text: string
}

/**
 * The devices, and what else there is to see. What is left out is not shown.
 *
 * @since 0.1.0
 * @category models
 */
export interface TableView extends TableSnapshot {
  readonly outputs?: ReadonlyArray<OutputView> | undefined
  readonly journal?: JournalView | undefined
  /** Those that are raised. */
  readonly alarms?: ReadonlyArray<AlarmView> | undefined
  /** The latest last. */
  readonly log?: ReadonlyArray<LogLine> | undefined
  /** The last line, such as what keys do. */
  readonly footer?: string | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface TableOptions {
  /** The width of the terminal. No line is wider. */
  readonly columns: number
  /** The height of the terminal. There is at least one line less. */
  readonly rows: number
  /** Whether to use the colours of the terminal. Default: true. */
  readonly colour?: boolean | undefined
  /** Whether the terminal shows more than ASCII. Names and units stay as they are. Default: true. */
  readonly unicode?: boolean | undefined
  /** The first device to show, from 0. Where all that are left would fit, the last ones are shown. Default: 0. */
  readonly first?: number | undefined
}
