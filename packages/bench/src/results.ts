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
  ratio: Schema.Finite,
  /** The slowest and the fastest round, as shares of the median. */
  spread: Schema.Tuple([Schema.Finite, Schema.Finite]),
  bytesPerSample: Schema.Finite,
  rssMiB: Schema.Finite
}) {}

/** Sink, variant and batch size, in words. */
export const pathOf = ({ batch, sink, variant }: Pick<Measured, "sink" | "variant" | "batch">): string =>
  `${[sink, variant].filter((part) => part !== "").join(" ")}, batch ${batch}`

/** How many days of one device at 100 Hz are written in a minute. */
export const daysAMinute = ({ samplesPerSecond }: Pick<Measured, "samplesPerSecond">): number =>
  samplesPerSecond * 60 / (100 * 86_400)

const Rows = Schema.fromJsonString(Schema.Array(Measured))

export const decodeRows = Schema.decodeUnknownEffect(Rows)
export const encodeRows = Schema.encodeUnknownEffect(Rows)
