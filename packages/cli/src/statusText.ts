/**
 * The status of a running recording, for people.
 */
import type { Status } from "./controlProtocol.ts"
import type { LiveJournal } from "./journalState.ts"
import { count, formatSeconds } from "./summary.ts"

type Device = Status["devices"][number]

type Output = Status["outputs"][number]

/** One line for the recording, each device, each output and the journal. */
export const statusLines = ({ address, bytes, journal, status }: LiveJournal): ReadonlyArray<string> => {
  const { alarms, at, devices, failures, lateTicks, outputs, samples, seconds, startedAt, state, ticks } = status
  const width = Math.max(...devices.map(({ name }) => name.length))
  return [
    `${journal}: live: process ${address.pid} on ${address.host}${state === "ending" ? ", which is ending" : ""}`,
    ticks === 0
      ? "  waiting for the first tick"
      : `  since ${secondOf(startedAt)}, ${formatSeconds(seconds)}; now ${secondOf(at)}`,
    `  ${count(samples)} samples in ${count(ticks)} ticks; ${count(lateTicks)} late ticks; ${count(failures)} failures`,
    ...devices.map((device) => `  ${device.name.padEnd(width)}  ${deviceText(device)}`),
    ...outputs.map((output) => `  ${outputText(output)}`),
    ...alarms.map(({ message, since }) => `  ALARM since ${secondOf(since)}: ${message.replace(/^alarm /, "")}`),
    `  journal: ${(bytes / 1e6).toFixed(1)} MB`
  ].map(printable)
}

/** `2026-11-28 20:00:01 UTC`. */
const secondOf = (timestamp: string): string => `${timestamp.slice(0, 19).replace("T", " ")} UTC`

/** The state first: it has the same place in every line. */
const deviceText = ({ ageSeconds, detail, state, status, values }: Device): string => {
  const age = ageSeconds === null ? "no reading yet" : `${formatSeconds(ageSeconds)} ago`
  const last = values.map(({ field, unit, value }) => `${field} ${value ?? "-"}${unit === null ? "" : ` ${unit}`}`)
  return [`${state.padEnd("failing".length)}  ${age}`, ...detail === null ? [] : [detail], ...last, ...status].join(
    ", "
  )
}

/** `run.csv: 1,234 rows, 12 behind`. */
export const outputText = ({ behind, error, rows, state, target }: Output): string =>
  [
    `${target}: ${count(rows)} rows`,
    ...behind === 0 ? [] : [`${count(behind)} behind`],
    ...state === "writing" ? [] : [state],
    ...error === null ? [] : [error]
  ].join(", ")

/** Names and texts of devices may hold anything; on a terminal it must do nothing. */
const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, "\ufffd")
