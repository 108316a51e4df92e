/**
 * A device that was found on a port: its frame format, and who it is.
 */
import { type Device, type DeviceIdentity, type Frame, type FrameFormat, SourceOpenError } from "@sampleline/core"
import { Effect, type Option, Result } from "effect"
import type { Unit } from "./Plan.ts"
import type { Port, Reply, TableTimes } from "./Port.ts"
import type { RequestError } from "./RequestError.ts"
import { formatChange } from "./wire/FormatChange.ts"
import { decodeFrameTable, type FrameLayout, frameTableCommand, hangsTogether } from "./wire/FrameTable.ts"
import { decodeFirmware, decodeManufacturing, firmwareCommand, manufacturingCommand } from "./wire/Identity.ts"
import { decodePollLine, decodeUnit, hasMoreValues, pollCommand } from "./wire/PollLine.ts"
import { quoteBytes } from "./wire/WireError.ts"

export interface OpenDevice {
  readonly device: Device
  readonly port: Port
  readonly layout: FrameLayout
  /** Null if the columns were given, and the device declares none. */
  readonly table: AskedTable | null
  /** Null if the device did not send who it is. */
  readonly identityTable: AskedTable | null
}

/** A table as it came: how many rows, when, and how long after the command. */
export interface AskedTable extends TableTimes {
  readonly rows: number
}

export interface AskedColumns {
  readonly layout: FrameLayout
  readonly table: AskedTable
  /** Whether the rows of the table hang together. */
  readonly isWhole: boolean
}

/** Whether a device answers a poll, within `afterMs`. */
export const answers = (port: Port, { unitId }: Pick<Unit, "unitId">, afterMs?: number): Effect.Effect<boolean> =>
  Effect.isSuccess(port.askLine(pollCommand(unitId), (line) => decodeUnit(line, unitId), afterMs))

/** Polls a device once. */
export const askReading = (
  { device: { unitId }, layout, port }: OpenDevice
): Effect.Effect<Reply<Frame>, RequestError> =>
  port.askLine(pollCommand(unitId), (line) => decodePollLine(line, unitId, layout))

/** Asks a device for its columns. */
export const askColumns = (port: Port, unitId: string): Effect.Effect<AskedColumns, RequestError> =>
  port.askTable(frameTableCommand(unitId), decodeTable(unitId))

/** Asks a device for its columns again, which are in this many rows. Gives up at the deadline, or if the port is not free: none then. */
export const askColumnsUntil = (
  deadlineNanos: number,
  { device: { unitId }, port }: OpenDevice,
  rows: number
): Effect.Effect<Option.Option<AskedColumns>, RequestError> =>
  port.askTableUntil(deadlineNanos, frameTableCommand(unitId), rows, decodeTable(unitId))

const decodeTable = (unitId: string) => (lines: ReadonlyArray<Uint8Array>, times: TableTimes) =>
  Result.map(
    decodeFrameTable(lines, unitId),
    (layout): AskedColumns => ({
      layout,
      table: { rows: lines.length, ...times },
      isWhole: hangsTogether(lines)
    })
  )

interface AskedIdentity {
  readonly identity: DeviceIdentity
  readonly table: AskedTable
}

/** Asks a device again who it is. See `askColumnsUntil`. */
export const askIdentityUntil = (
  deadlineNanos: number,
  { device: { unitId }, port }: OpenDevice,
  rows: number
): Effect.Effect<Option.Option<AskedIdentity>, RequestError> =>
  port.askTableUntil(deadlineNanos, manufacturingCommand(unitId), rows, decodeIdentity(unitId))

const decodeIdentity = (unitId: string) => (lines: ReadonlyArray<Uint8Array>, times: TableTimes) =>
  Result.map(
    decodeManufacturing(lines, unitId),
    (identity): AskedIdentity => ({ identity, table: { rows: lines.length, ...times } })
  )

/**
 * Asks a device for its frame format and its identity. `baud` is named in the error; null for TCP. `expected` is the format that
 * it had before, if it is known.
 */
export const openDevice = Effect.fnUntraced(function*(
  port: Port,
  unit: Unit,
  baud: number | null,
  expected: FrameFormat | null = null
): Effect.fn.Return<OpenDevice, SourceOpenError> {
  const { givenLayout, name, unitId } = unit
  const columns = givenLayout === null
    ? yield* askForColumns(port, unit, baud, expected)
    : { layout: givenLayout, table: null }
  const { identity, table: identityTable } = yield* identify(port, unit)
  const { layout, table } = columns
  return { device: { name, unitId, identity, format: layout.format }, port, layout, table, identityTable }
})

/** Warns of columns whose values may be wrong. */
export const warnOfUnknownTypes = ({ device, layout: { unknownTypes } }: OpenDevice): Effect.Effect<void> =>
  unknownTypes.length === 0
    ? Effect.void
    : Effect.logWarning(`${device.name} has columns of an unknown type: ${unknownTypes.join(", ")}; check their values`)

/** So many tables are asked for, if one after the other is doubtful. */
const TABLES = 3

/** The columns that a device declares. A doubtful table counts only if the next one says the same. */
const askForColumns = Effect.fnUntraced(function*(
  port: Port,
  unit: Unit,
  baud: number | null,
  expected: FrameFormat | null
): Effect.fn.Return<AskedColumns, SourceOpenError> {
  const ask = askColumns(port, unit.unitId).pipe(
    Effect.retry({ times: 1 }),
    Effect.catch((error) => failWithoutColumns(port, unit, baud, error))
  )
  let columns = yield* ask
  for (let tables = 1; yield* isDoubtful(port, unit.unitId, columns, expected); tables++) {
    if (tables === TABLES) return yield* otherTableEachTime(port, unit)
    const before = columns.layout.format
    columns = yield* ask
    if (formatChange(before, columns.layout.format) === null) break
  }
  return columns
})

/** Whether a table may be cut: it lacks rows, it has changed, or a reading has more values. */
const isDoubtful = (
  port: Port,
  unitId: string,
  { isWhole, layout }: AskedColumns,
  expected: FrameFormat | null
): Effect.Effect<boolean> => {
  if (expected !== null) return Effect.succeed(formatChange(expected, layout.format) !== null)
  if (!isWhole) return Effect.succeed(true)
  const hasMore = (line: Uint8Array) => Result.map(decodeUnit(line, unitId), () => hasMoreValues(line, layout))
  return port.askLine(pollCommand(unitId), hasMore).pipe(
    Effect.map(({ value }) => value),
    Effect.orElseSucceed(() => false)
  )
}

const otherTableEachTime = ({ path }: Port, { name, unitId }: Unit) =>
  new SourceOpenError({
    target: path,
    reason: "Unknown",
    detail: `${name} (unit ${unitId}) sends another frame table each time; check the cable and the baud rate, `
      + "and that no other device has this unit id"
  })

/** A device that declares no columns may still answer a poll. */
const failWithoutColumns = Effect.fnUntraced(function*(
  port: Port,
  { name, unitId }: Unit,
  baud: number | null,
  error: RequestError
): Effect.fn.Return<never, SourceOpenError> {
  const decode = (line: Uint8Array) => Result.map(decodeUnit(line, unitId), () => quoteBytes(line))
  const reading = yield* port.askLine(pollCommand(unitId), decode).pipe(
    Effect.map(({ value }) => value),
    Effect.orElseSucceed(() => null)
  )
  if (reading === null && error._tag === "NoReply") {
    return yield* didNotAnswer(port, { name, unitId }, baud === null ? [] : [baud])
  }
  const problem = `${name} (unit ${unitId}) did not send its frame format: ${error.message}`
  return yield* new SourceOpenError({
    target: port.path,
    reason: "Unknown",
    detail: reading === null
      ? problem
      : `${problem}. It sends ${reading}. Give its columns in that order, such as ${COLUMNS_EXAMPLE}`,
    cause: error
  })
})

const COLUMNS_EXAMPLE = "columns=Temp:°C,Flow:SCCM,Total,Gas:text"

/** The error for a device that does not answer at these baud rates; none for TCP. Listens to the port to say why. */
export const didNotAnswer = Effect.fnUntraced(function*(
  port: Port,
  { name, unitId }: Pick<Unit, "name" | "unitId">,
  bauds: ReadonlyArray<number>
): Effect.fn.Return<never, SourceOpenError> {
  const talks = yield* Effect.orElseSucceed(port.talks, () => false)
  const [at, rate] = bauds.length === 0
    ? ["", "the serial server's baud rate"]
    : [` at ${listOf(bauds)} baud`, "the baud rate"]
  return yield* new SourceOpenError({
    target: port.path,
    reason: "NoReply",
    detail: `${name} (unit ${unitId}) did not answer${at}; ${adviceFor(port, talks, rate)}`
  })
})

/** `9600, 19200 or 57600`. */
const listOf = (bauds: ReadonlyArray<number>): string => bauds.join(", ").replace(/, (?=\d+$)/, " or ")

const adviceFor = ({ heardEcho, heardLine, heardPushed, lastBytes, lastHeard }: Port, talks: boolean, rate: string) => {
  if (heardEcho) {
    return "the port only echoes the command; look for a loopback plug, an adapter with its echo on, or another program on the port"
  }
  if (heardPushed) return "a device streams on the port and does not stop; check the unit id, or switch it off and on"
  if (talks) {
    return `${quoteBytes(lastBytes)} comes without being asked and without end${
      heardLine ? "" : ", never a whole line"
    }; check ${rate}, and what else is on the port`
  }
  return lastHeard === null
    ? `check its power, the cable, the unit id and ${rate}, and that no other program reads the port`
    : `${quoteBytes(lastHeard)} was heard instead; check that no other program reads the port, the unit id and ${rate}`
}

/** The identity of a device. A device may be silent on either question. */
const identify = Effect.fnUntraced(function*(
  port: Port,
  unit: Unit
): Effect.fn.Return<{ readonly identity: DeviceIdentity | null; readonly table: AskedTable | null }> {
  const { unitId } = unit
  const firmware = yield* port.askLine(firmwareCommand(unitId), (line) => decodeFirmware(line, unitId)).pipe(
    Effect.map((reply) => reply.value),
    Effect.orElseSucceed(() => null)
  )
  const asked = yield* port.askTable(manufacturingCommand(unitId), decodeIdentity(unitId)).pipe(
    // Noise may cost the one row that tells devices apart.
    Effect.repeat({ times: 1, until: ({ identity }) => identity.serialNumber !== null }),
    Effect.retry({ times: 1 }),
    Effect.result
  )
  port.resynchroniseWith(unitId, resynchroniseCommand(unit, asked))
  const { identity: made = null, table = null } = Result.getOrNull(asked) ?? {}
  const identity = firmware === null && made === null ? null : {
    manufacturer: made?.manufacturer ?? null,
    model: made?.model ?? null,
    serialNumber: made?.serialNumber ?? null,
    firmware: firmware ?? made?.firmware ?? null,
    calibrationDate: made?.calibrationDate ?? null
  }
  return { identity, table }
})

/** The command for a table that the device answers; null if it answers none. */
const resynchroniseCommand = (
  { givenLayout, unitId }: Unit,
  asked: Result.Result<AskedIdentity, RequestError>
): string | null => {
  if (Result.isSuccess(asked)) return manufacturingCommand(unitId)
  return givenLayout === null ? frameTableCommand(unitId) : null
}
