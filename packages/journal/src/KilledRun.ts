/**
 * The end of a run that was killed: what was not told, because nobody was there to tell it.
 */
import { END_UNKNOWN, type RunEvent, Sample } from "@sampleline/core"
import { Array, Effect, Sink, Stream } from "effect"
import type { JournalError } from "./JournalError.ts"
import type { Item } from "./Packing.ts"
import type { Store } from "./Store.ts"

/** Appends the end of a run that has none, behind the ends of what still failed then. */
export const endKilledRun = Effect.fnUntraced(function*(store: Store) {
  const run = store.run() ?? (yield* runWithoutSamples(store))
  if (run === null) return
  let last = yield* store.at(store.end() - 1)
  for (let at = store.end() - 2; isOfOutputs(last); at--) last = yield* store.at(at)
  if (last !== null && !(last instanceof Sample) && last._tag === "RunEnded") return
  const at = last === null ? run.startedAt : last instanceof Sample ? last.receivedAt : last.at
  const lost = (yield* failingDevices(store)).map(({ at: since, detail, device, reason }): RunEvent => ({
    _tag: "DeviceLost",
    runId: run.id,
    at,
    device,
    reason,
    detail,
    since,
    until: Math.max(since, at),
    lastedMicros: null,
    failures: null,
    reasons: {}
  }))
  const end: RunEvent = {
    _tag: "RunEnded",
    runId: run.id,
    at,
    cause: "unknown",
    detail: END_UNKNOWN,
    startedAt: run.startedAt,
    lastedMicros: null,
    ticks: null,
    samples: null,
    thinned: null,
    ticksSkipped: null,
    ticksDropped: null,
    maxDriftMs: null,
    failures: {},
    fieldFailures: {},
    outputs: []
  }
  yield* store.append(Array.append(lost, end))
})

type Failing = Extract<RunEvent, { readonly _tag: "DeviceFailing" }>

/** The devices that failed when the run was killed, as far as the journal still has their events. */
const failingDevices = Effect.fnUntraced(
  function*(store: Store): Effect.fn.Return<ReadonlyArray<Failing>, JournalError> {
    const failing = new Map<string, Failing>()
    const look = (items: ReadonlyArray<Item>) =>
      Effect.sync(() => {
        at += items.length
        for (const item of items) {
          if (item instanceof Sample) continue
          if (item._tag === "DeviceFailing") failing.set(item.device, item)
          else if (item._tag === "DeviceBack" || item._tag === "DeviceLost") failing.delete(item.device)
        }
      })
    const end = store.end()
    let at = yield* store.nextFrom(0)
    while (at < end) {
      yield* store.read(at).pipe(Stream.take(end - at), Stream.run(Sink.forEachArray(look)))
      at = yield* store.nextFrom(at)
    }
    return [...failing.values()]
  }
)

const runWithoutSamples = Effect.fnUntraced(function*(store: Store) {
  const first = yield* store.at(0)
  return first === null || first instanceof Sample ? null : { id: first.runId, startedAt: first.at }
})

/** Drains tell of their outputs at any time. */
const isOfOutputs = (item: Item | null): boolean =>
  item !== null && !(item instanceof Sample) && item._tag.startsWith("Output")
