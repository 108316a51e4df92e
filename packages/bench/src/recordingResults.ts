/**
 * The figures of all rounds put together, and as a table.
 */
import type { Recorded } from "./measureRecording.ts"
import { median } from "./median.ts"
import type { Transport } from "./simulator.ts"
import { textTable } from "./textTable.ts"

/** The result of one case: medians of the rounds; of late ticks the sum, and of the largest lateness the largest. */
export interface Measured extends Recorded {
  readonly transport: Transport
  readonly rateHz: number
  readonly program: string
  /** The median of the rounds' ratios to the plain poller. Null for itself, and where processor time is not known. */
  readonly cpuOfPlain: number | null
  readonly rounds: ReadonlyArray<Recorded>
}

/** `plain` are the rounds of the plain poller at the same site. */
export const resultOf = (
  names: Pick<Measured, "transport" | "rateHz" | "program">,
  rounds: ReadonlyArray<Recorded>,
  plain: ReadonlyArray<Recorded>
): Measured => {
  const medianOf = (figure: (round: Recorded) => number) => median(rounds.map(figure))
  const knownMedianOf = (figure: (round: Recorded) => number | null) => {
    const known = rounds.flatMap((round) => figure(round) ?? [])
    return known.length === 0 ? null : median(known)
  }
  const ratios = rounds.flatMap(({ cpuPercent }, round) =>
    cpuPercent === null || rounds === plain ? [] : cpuPercent / plain[round]!.cpuPercent!
  )
  return {
    ...names,
    cpuPercent: knownMedianOf((round) => round.cpuPercent),
    cpuOfPlain: ratios.length === 0 ? null : median(ratios),
    switchesPerSecond: knownMedianOf((round) => round.switchesPerSecond),
    residentMiB: knownMedianOf((round) => round.residentMiB),
    highestResidentMiB: knownMedianOf((round) => round.highestResidentMiB),
    lateTicks: rounds.reduce((sum, { lateTicks }) => sum + lateTicks, 0),
    p50Ms: medianOf((round) => round.p50Ms),
    p99Ms: medianOf((round) => round.p99Ms),
    maxMs: Math.max(...rounds.map((round) => round.maxMs)),
    firstSampleSeconds: medianOf((round) => round.firstSampleSeconds),
    rounds
  }
}

const LEGEND = `
ratio: processor time to that of the plain poller. MiB, top: resident at the end, and the highest
late: ticks. p50, p99, max: ms from slot to request. 1st s: seconds from start to first reply`

export const tableOf = (rows: ReadonlyArray<Measured>): string => {
  const shown = (value: number | null, decimals = 0) => value === null ? "" : value.toFixed(decimals)
  const rangeOf = ({ rounds }: Measured) => {
    const known = rounds.flatMap(({ cpuPercent }) => cpuPercent ?? [])
    return known.length === 0 ? "" : `${Math.min(...known).toFixed(1)}-${Math.max(...known).toFixed(1)}`
  }
  const table = textTable([
    [
      "port",
      "Hz",
      "program",
      "CPU %",
      "range",
      "ratio",
      "switch/s",
      "MiB",
      "top",
      "late",
      "p50",
      "p99",
      "max",
      "1st s"
    ],
    ...rows.map((row) => [
      row.transport,
      String(row.rateHz),
      row.program,
      shown(row.cpuPercent, 1),
      rangeOf(row),
      shown(row.cpuOfPlain, 1),
      shown(row.switchesPerSecond),
      shown(row.residentMiB),
      shown(row.highestResidentMiB),
      String(row.lateTicks),
      shown(row.p50Ms, 1),
      shown(row.p99Ms, 1),
      shown(row.maxMs, 1),
      shown(row.firstSampleSeconds, 2)
    ])
  ], 3)
  return `${table}\n${LEGEND}`
}
