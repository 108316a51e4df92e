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

interface Round {
  /** Samples a second. */
  readonly rate: number
  /** Processor time a sample. */
  readonly cpuMicros: number
}

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
  const timed = Effect.fnUntraced(function*(run: Effect.Effect<unknown, unknown>) {
    yield* bench.clear
    const cpuBefore = process.cpuUsage()
    const before = performance.now()
    yield* run
    const milliseconds = performance.now() - before
    const { system, user } = process.cpuUsage(cpuBefore)
    return { rate: samples / milliseconds * 1000, cpuMicros: (system + user) / samples }
  })
  const ours: Array<Round> = []
  const limits: Array<Round> = []
  let bytes = 0
  for (let round = 0; round <= rounds; round++) {
    const limit = timed(bench.limit(samples))
    const before = round % 2 === 0 ? yield* limit : undefined
    const our = yield* timed(write(recording, samples, batch, bench.layer))
    bytes = yield* bench.bytes
    const after = before ?? (yield* limit)
    if (round === 0) continue
    ours.push(our)
    limits.push(after)
  }
  const ratios = ours.map(({ rate }, round) => rate / limits[round]!.rate)
  return new Measured({
    sink,
    variant,
    fields,
    batch,
    samplesPerSecond: median(ours.map(({ rate }) => rate)),
    limitPerSecond: median(limits.map(({ rate }) => rate)),
    ratio: median(ratios),
    ratioRange: [Math.min(...ratios), Math.max(...ratios)],
    cpuMicros: median(ours.map(({ cpuMicros }) => cpuMicros)),
    limitCpuMicros: median(limits.map(({ cpuMicros }) => cpuMicros)),
    bytesPerSample: bytes / samples,
    rssMiB: process.memoryUsage.rss() / 2 ** 20
  })
}, Effect.scoped)
