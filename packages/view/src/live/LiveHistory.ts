/**
 * A recording that goes on, as a page sees it: levels of all that came, in a file that goes with the recording, and the latest samples one
 * by one. It runs in a thread of its own and is told what comes by messages.
 */
import type { EventRow } from "@sampleline/core"
import { type RecordedRun, runsOf, timeOf } from "@sampleline/files"
import { Effect } from "effect"
import type { LogLine, OutputView } from "../TableView.ts"
import { bucketsOf, firstWidthOf, isFine, NOTHING, pointsOf, within } from "./answerRange.ts"
import type { LevelFile } from "./LevelFile.ts"
import { BLOCK, Levels } from "./Levels.ts"
import { SampleRing } from "./SampleRing.ts"
import { SeriesList } from "./SeriesList.ts"
import { type Viewed, type ViewedDevice, viewedDevices, viewedEnd, viewedRun, type ViewState } from "./Viewed.ts"

/** What the samples of a device have in common. */
export interface LiveSource {
  readonly device: string
  readonly fields: ReadonlyArray<{ readonly name: string; readonly unit: string | null; readonly isNumber: boolean }>
}

/** What a device said last, with its texts. */
export interface LatestSample {
  readonly device: string
  /** Microseconds since the epoch. */
  readonly at: number
  readonly status: ReadonlyArray<string>
  readonly fields: ViewedDevice["fields"]
}

/** What is known of the recording now, beside its samples and events. */
export interface LiveStatus {
  readonly latest: ReadonlyArray<LatestSample>
  readonly outputs: ReadonlyArray<Pick<OutputView, "name" | "state" | "rows" | "behind">>
  readonly log: ReadonlyArray<LogLine>
}

/** Numbers in a message before the values of each sample: its source, and its time in microseconds since the epoch. */
export const SAMPLE_HEADER = 2

/** Memory for the latest samples of all devices. */
const RING_BYTES = 1 << 22
const LEAST_SAMPLES = 1000
/** More events than that are not kept: the oldest go. */
const MOST_EVENTS = 50_000
/** A device is silent if nothing came for so long, or for three ticks. */
const SILENT_SECONDS = 3
const SILENT_TICKS = 3

interface Source extends LiveSource {
  readonly ring: SampleRing
  /** The series of each field; -1 for one without numbers. */
  readonly series: ReadonlyArray<number>
}

interface LiveHistory extends Omit<Viewed, "mark"> {
  readonly addSource: (source: LiveSource) => void
  readonly addSamples: (numbers: Float64Array) => void
  readonly addEvents: (events: ReadonlyArray<EventRow>) => void
  readonly setStatus: (status: LiveStatus) => void
}

export const make = (options: {
  readonly title: string
  readonly file: LevelFile
  /** Microseconds since the epoch. */
  readonly now: () => number
}): LiveHistory => {
  const { file, now } = options
  const series = new SeriesList()
  const sources: Array<Source> = []
  /** Where each series is. */
  const placeOf: Array<{ readonly source: Source; readonly field: number }> = []
  const events: Array<EventRow> = []
  let eventCount = 0
  let runEvents: ReadonlyArray<EventRow> = []
  let run: RecordedRun | null = null
  let levels: Levels | null = null
  let extent: { from: number; until: number } | null = null
  let status: LiveStatus = { latest: [], outputs: [], log: [] }
  let viewVersion = 0
  /** Why older samples are not kept; null: they are. */
  let failure: string | null = null
  const failing = new Map<string, EventRow>()
  const alarms = new Map<string, EventRow>()

  /** Plots go on without their past if the disk is full. */
  const store = (add: () => void) => {
    try {
      add()
    } catch (error) {
      failure ??= error instanceof Error ? error.message : String(error)
    }
  }

  const follow = (event: EventRow) => {
    const key = `${event.detail} ${event.device} ${JSON.stringify(event.data?.["target"] ?? null)}`
    switch (event.event) {
      case "DeviceFailing":
        return failing.set(event.device ?? "", event)
      case "DeviceBack":
      case "DeviceLost":
        return failing.delete(event.device ?? "")
      case "AlarmRaised":
        return alarms.set(key, event)
      case "AlarmCleared":
        return alarms.delete(key)
    }
  }

  const deviceOf = (name: string): ViewedDevice => {
    const latest = status.latest.find(({ device }) => device === name)
    const failure = failing.get(name)
    const ageSeconds = latest === undefined ? null : Math.max(0, now() - latest.at) / 1_000_000
    const patience = Math.max(SILENT_SECONDS, SILENT_TICKS / (run?.rateHz ?? Infinity))
    return {
      name,
      state: failure !== undefined
        ? failure.reason === "DeviceChanged" ? "changed" : "failing"
        : ageSeconds === null
        ? "waiting"
        : ageSeconds > patience && run?.endedAt === null
        ? "silent"
        : "ok",
      error: failure?.detail ?? null,
      ageSeconds,
      status: latest?.status ?? [],
      fields: latest?.fields ?? run?.devices.find(({ device }) => device === name)?.fields
        .map(({ name, unit }) => ({ name, unit, value: null, decimals: 0 })) ??
        []
    }
  }

  return {
    addSource: ({ device, fields }) => {
      const devices = Math.max(1, run?.devices.length ?? 0)
      const capacity = Math.max(LEAST_SAMPLES, Math.floor(RING_BYTES / 8 / devices / (fields.length + 1)))
      const source = {
        device,
        fields,
        ring: new SampleRing(capacity, fields.length),
        series: fields.map(({ isNumber, name, unit }) => isNumber ? series.idOf(device, name, unit) : -1)
      }
      sources.push(source)
      for (const [field, id] of source.series.entries()) if (id >= 0) placeOf[id] = { source, field }
      viewVersion++
    },
    addSamples: (numbers) => {
      const to = levels ??= new Levels(firstWidthOf(run?.rateHz ?? null), file.store)
      if (extent === null) viewVersion++
      for (let n = 0; n < numbers.length;) {
        const source = sources[numbers[n]!]!
        const at = numbers[n + 1]!
        n += SAMPLE_HEADER
        source.ring.push(at, numbers, n)
        if (extent === null) extent = { from: at, until: at }
        else if (at > extent.until) extent.until = at
        else if (at < extent.from) extent.from = at
        if (failure === null) {
          store(() => {
            for (const [field, id] of source.series.entries()) if (id >= 0) to.add(id, at, numbers[n + field]!)
          })
        }
        n += source.fields.length
      }
      if (failure === null) store(file.commit)
    },
    addEvents: (added) => {
      for (const event of added) {
        events.push(event)
        follow(event)
      }
      eventCount += added.length
      if (events.length > MOST_EVENTS) events.splice(0, events.length - MOST_EVENTS)
      if (added.some(({ event }) => event === "RunStarted" || event === "RunEnded")) {
        runEvents = [...runEvents, ...added].filter(({ event }) => event === "RunStarted" || event === "RunEnded")
        run = runsOf(runEvents).at(-1) ?? null
        viewVersion++
      }
    },
    setStatus: (latest) => {
      status = latest
    },
    describe: () => ({
      title: options.title,
      place: options.title,
      isLive: true,
      rateHz: run?.rateHz ?? null,
      from: extent?.from ?? null,
      until: extent?.until ?? null,
      runs: run === null ? [] : [viewedRun(run)],
      devices: run === null ? [] : viewedDevices([run]),
      series: series.all
    }),
    state: (): ViewState => ({
      now: now(),
      viewVersion,
      eventCount,
      until: extent?.until ?? null,
      progress: null,
      ended: viewedEnd(run),
      devices: (run?.devices ?? []).map(({ device }) => deviceOf(device)),
      alarms: [...alarms.values()].map(({ at, data, detail, device }) => ({
        text: device === null || detail?.startsWith(device) === true ? detail ?? "" : `${device}: ${detail}`,
        sinceSeconds: Math.max(0, now() - timeOf(textOf(data?.["since_at"]) ?? at)) / 1_000_000
      })),
      outputs: status.outputs,
      log: failure === null
        ? status.log
        : [...status.log, { level: "warning", text: `older samples are not shown: ${failure}` }]
    }),
    events: () => events,
    range: (query) =>
      Effect.sync(() => {
        const asked = within(query, extent)
        if (asked === null || levels === null) return NOTHING
        const known = asked.series.filter((id) => placeOf[id] !== undefined)
        const isHere = known.every((id) => placeOf[id]!.source.ring.since <= asked.from)
        const points = isHere && isFine(levels, asked)
          ? pointsOf({ ...asked, series: known }, (id) => {
            const { field, source } = placeOf[id]!
            return source.ring.read(field, asked.from, asked.until)
          })
          : null
        return points ??
          bucketsOf(levels, { ...asked, series: known }, (file.forgotten() + 1) * BLOCK * levels.firstWidth)
      })
  }
}

const textOf = (value: unknown): string | null => typeof value === "string" ? value : null
