/**
 * The results that `npm run bench -- --json` prints.
 */
import { Schema } from "effect"

/** The result of one case. */
export class Measured extends Schema.Class<Measured>("Measured")({
  sink: Schema.String,
  variant: Schema.String,
  fields: Schema.Int,
  batch: Schema.Int,
  samplesPerSecond: Schema.Finite,
  limitPerSecond: Schema.Finite,
  /** The median of the ratios of the rounds, the smallest and the largest. */
  ratio: Schema.Finite,
  ratioRange: Schema.Tuple([Schema.Finite, Schema.Finite]),
  /** Processor time of all threads of this process, in microseconds a sample. A database server is another process. */
  cpuMicros: Schema.Finite,
  limitCpuMicros: Schema.Finite,
  bytesPerSample: Schema.Finite,
  rssMiB: Schema.Finite
}) {}

/** Sink, variant and batch size, in words. */
export const pathOf = ({ batch, sink, variant }: Pick<Measured, "sink" | "variant" | "batch">): string =>
  `${[sink, variant].filter((part) => part !== "").join(" ")}, batch ${batch}`

/** The smallest and the largest ratio: `0.61-0.70`. */
export const rangeOf = ({ ratioRange }: Pick<Measured, "ratioRange">, between: string): string =>
  ratioRange.map((ratio) => ratio.toFixed(2)).join(between)

/** How many days of one device at 100 Hz are written in a minute. */
export const daysAMinute = ({ samplesPerSecond }: Pick<Measured, "samplesPerSecond">): number =>
  samplesPerSecond * 60 / (100 * 86_400)

const Rows = Schema.fromJsonString(Schema.Array(Measured))

export const decodeRows = Schema.decodeUnknownEffect(Rows)
export const encodeRows = Schema.encodeUnknownEffect(Rows)
