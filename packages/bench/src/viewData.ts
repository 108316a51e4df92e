/**
 * A long recording as files: a journal and a Parquet file of ten devices at 100 Hz. Samples are made as they are written.
 */
import { type Run, Sample, startEvent } from "@sampleline/core"
import { ParquetSink } from "@sampleline/sinks"
import { type Array, Duration, Effect } from "effect"
import * as Store from "../../journal/src/Store.ts"
import { CONTROLLER as format, round } from "./samples.ts"

export const DEVICES = 10
export const RATE_HZ = 100
const PERIOD_MICROS = 1_000_000 / RATE_HZ
const START = 1_772_366_400_000_000
/** Ticks in one append of a journal, and in one batch of a file. */
const TICKS_AT_ONCE = 100

const run: Run = {
  id: "019ca6c4-0000-7000-8000-000000000000",
  startedAt: START,
  rateHz: RATE_HZ,
  devices: globalThis.Array.from(
    { length: DEVICES },
    (_, n) => ({ name: `mfc${n}`, unitId: "A", identity: null, format })
  )
}

const started = startEvent(run, [])

/** The sample of a device in a tick: slow waves, and noise that is the same in every run. */
export const sampleOf = (tick: number, device: number): Sample => {
  const noise = (field: number) =>
    (Math.imul((tick * DEVICES + device) * 8 + field + 1, 2_654_435_761) >>> 0) / 2 ** 32 - 0.5
  const flow = 100 + 50 * Math.sin(tick / 50_000 + device)
  const at = START + tick * PERIOD_MICROS + device * 100
  return new Sample({
    run,
    device: run.devices[device]!.name,
    unitId: "A",
    sequence: tick * DEVICES + device,
    tick,
    requestedAt: at,
    receivedAt: at + 5000,
    requestedMonotonicNanos: tick * PERIOD_MICROS * 1000,
    receivedMonotonicNanos: (tick * PERIOD_MICROS + 5000) * 1000,
    frame: {
      format,
      status: [],
      values: [
        round(14.7 + noise(0) / 10, 2),
        round(22.5 + noise(1) / 5, 2),
        round(flow + noise(2), 3),
        round(flow * 1.05 + noise(3), 3),
        100,
        round(tick / 60, 1),
        "N2"
      ]
    }
  })
}

const batches = function*(samples: number) {
  const ticks = Math.ceil(samples / DEVICES)
  for (let tick = 0; tick < ticks; tick += TICKS_AT_ONCE) {
    const count = Math.min(TICKS_AT_ONCE, ticks - tick) * DEVICES
    yield globalThis.Array.from(
      { length: count },
      (_, n) => sampleOf(tick + Math.floor(n / DEVICES), n % DEVICES)
    ) as unknown as Array.NonEmptyReadonlyArray<Sample>
  }
}

const writeAll = <E, R>(
  samples: number,
  write: (batch: Array.NonEmptyReadonlyArray<Sample>) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, E, R> => {
  const all = batches(samples)
  let next = all.next()
  return Effect.whileLoop({
    while: () => next.done !== true,
    body: () => write(next.value!),
    step: () => {
      next = all.next()
    }
  })
}

/** A journal that no output has taken from, as a recorder leaves it that was killed. */
export const writeJournal = Effect.fnUntraced(function*(path: string, samples: number) {
  const store = yield* Store.create({
    path,
    fsync: "never",
    segmentBytes: 1 << 24,
    diskWait: Duration.minutes(1),
    maxBytes: Infinity,
    whenFull: "stop"
  }, { id: run.id, settings: null })
  yield* store.append([started])
  yield* writeAll(samples, store.append)
}, Effect.scoped)

export const writeParquet = (path: string, samples: number) =>
  Effect.gen(function*() {
    const sink = yield* ParquetSink
    sink.began()
    yield* sink.event(started)
    yield* writeAll(samples, sink.write)
  }).pipe(Effect.provide(ParquetSink.layer({ path })))
