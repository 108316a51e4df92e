/**
 * What a page shows: a recording that goes on, or one that is read back. The server knows nothing else of it.
 */
import type { DeviceDescription, EventRow } from "@sampleline/core"
import type { RecordedRun } from "@sampleline/files"
import { type Effect, Schema, Struct } from "effect"
import type { DeviceState } from "../LiveTable.ts"
import type { LogLine, OutputView } from "../TableView.ts"
import type { RangeAnswer, RangeQuery } from "./RangeAnswer.ts"

/** What there is to see. Times in microseconds since the epoch. */
export interface ViewDescription {
  readonly title: string
  /** Where it comes from. It holds no password. */
  readonly place: string
  /** Whether it is being recorded by this program. */
  readonly isLive: boolean
  /** Ticks per second; null: not known. */
  readonly rateHz: number | null
  /** From the first sample to the last; null: there is none. */
  readonly from: number | null
  readonly until: number | null
  readonly runs: ReadonlyArray<ViewedRun>
  readonly devices: ReadonlyArray<Omit<DeviceDescription, "device" | "fields"> & { readonly name: string }>
  readonly series: ReadonlyArray<ViewedSeries>
}

export type ViewedRun = Omit<RecordedRun, "devices">

/** A field of a device that has numbers. */
export interface ViewedSeries {
  readonly id: number
  readonly device: string
  readonly field: string
  readonly unit: string | null
}

/** What is known of it now. */
export interface ViewState {
  /** Microseconds since the epoch. */
  readonly now: number
  /** Another number: the description has changed. */
  readonly viewVersion: number
  readonly eventCount: number
  /** The time of the last sample; null: there is none. */
  readonly until: number | null
  /** How much of a file has been read, from 0 to 1; null: nothing is read. */
  readonly progress: number | null
  /** Null: it goes on, or nobody knows. */
  readonly ended: { readonly cause: string; readonly detail: string | null } | null
  readonly devices: ReadonlyArray<ViewedDevice>
  /** Alarms that are raised. */
  readonly alarms: ReadonlyArray<{ readonly text: string; readonly sinceSeconds: number }>
  readonly outputs: ReadonlyArray<Pick<OutputView, "name" | "state" | "rows" | "behind">>
  /** The latest last. */
  readonly log: ReadonlyArray<LogLine>
}

/** A device as it was heard last. `recorded`: it is read back. */
export interface ViewedDevice {
  readonly name: string
  readonly state: DeviceState | "recorded"
  readonly error: string | null
  readonly ageSeconds: number | null
  readonly status: ReadonlyArray<string>
  readonly fields: ReadonlyArray<{
    readonly name: string
    readonly unit: string | null
    readonly value: number | string | null
    /** As in `FieldView`. */
    readonly decimals: number
  }>
}

/** It cannot be shown, or what was asked of it cannot be done. */
export class ViewError extends Schema.TaggedError<ViewError>()("ViewError", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

export interface Viewed {
  readonly describe: () => ViewDescription
  readonly state: () => ViewState
  readonly range: (query: RangeQuery) => Effect.Effect<RangeAnswer, ViewError>
  /** Events in their order. */
  readonly events: () => ReadonlyArray<EventRow>
  /** Marks this moment, and gives its time in microseconds since the epoch. Null: nothing can be marked. */
  readonly mark: ((text: string) => Effect.Effect<number, ViewError>) | null
}

export const viewedRun = (run: RecordedRun): ViewedRun => Struct.omit(run, ["devices"])

/** How a run ended. Null: its end is not recorded, so it may go on. When a run was killed is not always known. */
export const viewedEnd = (run: RecordedRun | null | undefined): ViewState["ended"] =>
  run?.cause == null ? null : { cause: run.cause, detail: run.detail }

/** The devices of all runs, each as the last run had it. */
export const viewedDevices = (runs: ReadonlyArray<RecordedRun>): ViewDescription["devices"] => [
  ...new Map(
    runs.flatMap(({ devices }) => devices)
      .map((device) => [device.device, { ...Struct.omit(device, ["device", "fields"]), name: device.device }])
  ).values()
]
