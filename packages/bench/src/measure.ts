/**
 * Measures one case: the sink and its limit take turns.
 */
import { Effect, FileSystem } from "effect"
import type { Case } from "./cases.ts"
import { median } from "./median.ts"
import { Measured } from "./results.ts"
import { makeRecording } from "./samples.ts"
import { write } from "./write.ts"

/** One batch of the largest size. So few stay in the processor's cache, like samples that were just read. */
const RECORDED = 4096

/** The first round is a warm-up and is not counted. */
export const measure = Effect.fnUntraced(function*(
  { batch, open, recorded = RECORDED, samples: full, sink, variant }: Case,
  fields: number,
  rounds: number,
  scale: number
) {
  const samples = Math.max(batch, Math.round(full * scale / batch) * batch)
  const recording = makeRecording(fields, recorded)
  const files = yield* FileSystem.FileSystem
  const folder = yield* files.makeTempDirectoryScoped({ prefix: "bench-" })
  const bench = yield* open(recording, batch, folder)
  const rateOf = Effect.fnUntraced(function*(run: Effect.Effect<unknown, unknown>) {
    yield* bench.clear
    const before = performance.now()
    yield* run
    return samples / (performance.now() - before) * 1000
  })
  const ours: Array<number> = []
  const limits: Array<number> = []
  let bytes = 0
  for (let round = 0; round <= rounds; round++) {
    const limit = rateOf(bench.limit(samples))
    const before = round % 2 === 0 ? yield* limit : undefined
    const our = yield* rateOf(write(recording, samples, batch, bench.layer))
    bytes = yield* bench.bytes
    const after = before ?? (yield* limit)
    if (round === 0) continue
    ours.push(our)
    limits.push(after)
  }
  const samplesPerSecond = median(ours)
  return new Measured({
    sink,
    variant,
    fields,
    batch,
    samplesPerSecond,
    limitPerSecond: median(limits),
    ratio: median(ours.map((our, round) => our / limits[round]!)),
    spread: [Math.min(...ours) / samplesPerSecond, Math.max(...ours) / samplesPerSecond],
    bytesPerSample: bytes / samples,
    rssMiB: process.memoryUsage.rss() / 2 ** 20
  })
}, Effect.scoped)
