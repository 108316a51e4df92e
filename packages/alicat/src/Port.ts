/**
 * A port with devices on it: one request at a time, and each reply with the times of its own request.
 *
 * A poll reply carries no request number, so a late reply looks like the reply to the next request. A device with an outstanding
 * reply is therefore resynchronised before its next request (`OutstandingReplies.ts`).
 */
import { SampleClock, type SourceDependencyError, type SourceOpenError } from "@sampleline/core"
import { Duration, Effect, Option, Predicate, Result, Schedule, type Scope } from "effect"
import { OnlyFailures } from "./OnlyFailures.ts"
import { type Answer, isTableRow, OutstandingReplies } from "./OutstandingReplies.ts"
import { PortLock } from "./PortLock.ts"
import { type Line, ReceivedLines } from "./ReceivedLines.ts"
import { NoReply, PortGone, type PortStreams, type RequestError } from "./RequestError.ts"
import { within } from "./Timeouts.ts"
import type { OpenTransport, Transport } from "./transport/Transport.ts"
import { encodeCommand, isAscii, isRejection } from "./wire/Framing.ts"
import {
  isPushedText,
  olderStartStreamingCommand,
  olderStopStreamingCommand,
  startStreamingCommand,
  stopStreamingCommand
} from "./wire/PollLine.ts"
import { type MalformedReply, quoteBytes, RejectedCommand } from "./wire/WireError.ts"
import { type LogWire, wireLog } from "./WireLog.ts"

/** A value from a reply, with the times of request and reply. */
export interface Reply<A> {
  readonly value: A
  /** Just before the command was written: microseconds since the epoch. */
  readonly requestedAt: number
  readonly requestedMonotonicNanos: number
  /** When the last byte of the line had arrived: microseconds since the epoch. */
  readonly receivedAt: number
  readonly receivedMonotonicNanos: number
}

/** A device that sends lines by itself. It is stopped when the scope ends, and what it still sends is thrown away. */
export interface PushedLines {
  /** Starts the device, also one that has stopped. */
  readonly start: Effect.Effect<void, PortGone | NoReply>
  /** The next line, or null after this time. */
  readonly next: (afterMs: number) => Effect.Effect<Line | null, PortGone>
}

/** When the last row of a table came, in microseconds since the epoch, and how long after the command. */
export interface TableTimes {
  readonly at: number
  readonly nanos: number
}

type DecodeTable<A> = (lines: ReadonlyArray<Uint8Array>, times: TableTimes) => Result.Result<A, MalformedReply>

/** What can go wrong once the port is this request's own. */
type ExchangeError = Exclude<RequestError, PortStreams>

type Sent = Pick<Reply<unknown>, "requestedAt" | "requestedMonotonicNanos">

/** After a malformed reply, the rest of it may still be on its way. */
const MALFORMED_PAUSE = Duration.millis(20)

/** A stop command is repeated this often while the device goes on sending. */
const STOP_REPEATS = 3

/**
 * Opens a port; the scope closes it. `lineTimeout` is how long a device may take to answer with a line. The first line of a
 * table may take twice that. `outstanding` is what was outstanding when the port was last closed.
 */
export const openPort = Effect.fnUntraced(function*(
  { given, path }: Names,
  open: OpenTransport,
  baud: number,
  lineTimeout: Duration.Duration,
  outstanding = new OutstandingReplies(lineTimeout)
): Effect.fn.Return<Port, SourceOpenError | SourceDependencyError, Scope.Scope> {
  const clock = yield* SampleClock.current
  const lineMs = Duration.toMillis(lineTimeout)
  const received = yield* ReceivedLines.make
  const transport = yield* open({
    onData: (chunk) => {
      const at = clock.epochMicros()
      const monotonicNanos = clock.monotonicNanos()
      received.receive(chunk, at, monotonicNanos, (text) => outstanding.heard(text.trimStart(), monotonicNanos))
    },
    onClose: (cause) => received.close(path, cause)
  }, baud)
  return new Port({
    path,
    clock,
    lineMs,
    received,
    outstanding,
    onlyFailures: yield* OnlyFailures.make,
    transport,
    logWire: yield* wireLog(path, given),
    lock: yield* PortLock.make(path)
  })
})

interface Names {
  readonly path: string
  /** The name in the log, as the user wrote it. */
  readonly given: string
}

interface Parts {
  readonly path: string
  readonly clock: SampleClock.SampleClock
  readonly lineMs: number
  readonly transport: Transport
  readonly received: ReceivedLines
  readonly outstanding: OutstandingReplies
  readonly onlyFailures: OnlyFailures
  readonly logWire: LogWire
  readonly lock: PortLock
}

/**
 * What changes on a port is in four parts: the lines received, the replies outstanding, how long it has failed, and who uses
 * it now.
 */
export class Port {
  readonly path: string
  private readonly clock: SampleClock.SampleClock
  private readonly lineMs: number
  private readonly tableMs: number
  private readonly transport: Transport
  private readonly received: ReceivedLines
  private readonly outstanding: OutstandingReplies
  private readonly onlyFailures: OnlyFailures
  private readonly logWire: LogWire
  private readonly lock: PortLock
  /** By unit id: the command for a table that the device answers; null if it answers none. */
  private readonly tableCommands = new Map<string, string | null>()
  private echoes = false

  constructor(parts: Parts) {
    this.path = parts.path
    this.clock = parts.clock
    this.lineMs = parts.lineMs
    this.tableMs = 2 * parts.lineMs
    this.transport = parts.transport
    this.received = parts.received
    this.outstanding = parts.outstanding
    this.onlyFailures = parts.onlyFailures
    this.logWire = parts.logWire
    this.lock = parts.lock
  }

  /** Returns when the port is gone. */
  get closed(): Effect.Effect<void> {
    return this.received.closed
  }

  /** Returns when the port has given nothing but failures for some seconds. */
  get givesOnlyFailures(): Effect.Effect<void> {
    return this.onlyFailures.await
  }

  /** A device on the port gave a reading. */
  gaveReading(): void {
    this.onlyFailures.reading()
  }

  /** A device on the port gave no reading. */
  gaveFailure(): void {
    this.onlyFailures.failure(this.clock.monotonicNanos())
  }

  /** Whether a device has sent a reading by itself since the port was opened. */
  get heardPushed(): boolean {
    return this.received.heardPushed
  }

  /** Whether a command has come back since the port was opened. */
  get heardEcho(): boolean {
    return this.echoes
  }

  /** The last bytes that came since a request was answered; null if there were none. */
  get lastHeard(): Uint8Array | null {
    return this.received.lastHeard
  }

  /** The last bytes since the port was opened, as they came. */
  get lastBytes(): Uint8Array {
    return this.received.lastBytes
  }

  /** How many bytes have come since the port was opened. */
  get bytesHeard(): number {
    return this.received.bytesHeard
  }

  /** Whether a whole line has come since the port was opened. */
  get heardLine(): boolean {
    return this.received.heardLine
  }

  /** Whether a device must be resynchronised before its next request. None can on a port that is gone. */
  hasOutstandingLine(unitId: string): boolean {
    return !this.received.isClosed && this.outstanding.hasLine(unitId)
  }

  /** Whether a device may still be sending a table that was given up. */
  isSendingTable(unitId: string): boolean {
    return this.outstanding.isSendingTable(unitId, this.clock.monotonicNanos())
  }

  /** Sets the command that resynchronises a device: one for a table that it answers. With null, only silence does. */
  resynchroniseWith(unitId: string, tableCommand: string | null): void {
    this.tableCommands.set(unitId, tableCommand)
  }

  /** Sends a command that is answered with one line, within `afterMs`. */
  askLine<A>(
    command: string,
    decode: (line: Uint8Array) => Result.Result<A, MalformedReply>,
    afterMs = this.lineMs
  ): Effect.Effect<Reply<A>, RequestError> {
    return this.lock.request(this.exchange(
      command,
      "line",
      afterMs,
      (sent, line) =>
        Effect.succeed(Result.map(decode(line.bytes), (value) => ({
          value,
          ...sent,
          receivedAt: line.at,
          receivedMonotonicNanos: line.monotonicNanos
        })))
    ))
  }

  /** Sends a command that is answered with a table. */
  askTable<A>(
    command: string,
    decode: DecodeTable<A>
  ): Effect.Effect<A, RequestError> {
    return this.lock.request(this.exchangeTable(command, this.received.restOfTable, decode))
  }

  /**
   * Asks again for a table with so many rows, if the port is free, and gives up at the deadline. Fails or gives nothing without
   * the table. A table that was given up is outstanding.
   */
  askTableUntil<A>(
    deadlineNanos: number,
    command: string,
    rows: number,
    decode: DecodeTable<A>
  ): Effect.Effect<Option.Option<A>, RequestError> {
    return Effect.suspend(() =>
      this.lock.requestIfFree(this.exchangeTable(command, this.received.moreRows(rows - 1), decode)).pipe(
        Effect.timeoutOption(Math.max(0, deadlineNanos - this.clock.monotonicNanos()) / 1e6),
        Effect.map(Option.flatten)
      )
    )
  }

  /** Stops a device that sends readings by itself, and throws away what still comes. Does nothing to any other device. */
  stopStreaming(unitId: string): Effect.Effect<void, RequestError> {
    return this.lock.request(Effect.suspend(() => {
      this.outstanding.toldToStop(unitId)
      return Effect.asVoid(this.silence(unitId))
    }))
  }

  setBaud(baud: number): Effect.Effect<void, RequestError> {
    return this.lock.request(Effect.mapError(this.transport.setBaud(baud), (cause) => this.gone(cause)))
  }

  /** Listens for a moment: whether something sends without a request, and goes on to. */
  get talks(): Effect.Effect<boolean, RequestError> {
    return this.lock.request(this.received.talks)
  }

  /**
   * Clears away the outstanding replies of a device. Fails while the device does not answer. Gives the lines of the table that
   * it answered with; none if no reply was outstanding.
   */
  resynchronise(unitId: string): Effect.Effect<ReadonlyArray<Uint8Array>, RequestError> {
    return this.lock.request(this.resynchroniseUnit(unitId))
  }

  /** Resynchronises a device that was just opened. Waits for as long as a reply may be late. */
  settle(unitId: string): Effect.Effect<unknown, RequestError> {
    return this.resynchronise(unitId).pipe(
      Effect.retry({ schedule: Schedule.spaced(this.lineMs / 5), while: (error) => error._tag === "NoReply" }),
      Effect.timeoutOption(this.outstanding.silenceMs + 2 * this.tableMs)
    )
  }

  /** Reserves the port for one device until the scope ends. Every other request fails at once, and no byte of it is sent. */
  stream(unitId: string): Effect.Effect<PushedLines, RequestError, Scope.Scope> {
    const stop = Effect.repeat(this.silence(unitId), { until: (isSilent) => isSilent, times: STOP_REPEATS })
    // A device that was started twice and is still silent may have older firmware.
    let starts = 0
    const start = Effect.suspend(() =>
      this.send(++starts % 3 === 0 ? olderStartStreamingCommand(unitId) : startStreamingCommand(unitId))
    )
    return this.lock.stream(unitId).pipe(
      Effect.andThen(Effect.addFinalizer(() => Effect.ignore(stop))),
      Effect.as({
        start: Effect.andThen(stop, start),
        next: (afterMs) => this.received.take(afterMs, this.logged(() => true))
      })
    )
  }

  private readonly resynchroniseUnit = Effect.fnUntraced({ self: this }, function*(
    unit: string
  ): Effect.fn.Return<ReadonlyArray<Uint8Array>, PortGone | NoReply> {
    const command = this.tableCommands.get(unit)
    if (!this.outstanding.hasLine(unit) || command === undefined) return []
    if (command === null) {
      if (!this.outstanding.isQuiet(unit, this.clock.monotonicNanos())) {
        return yield* new NoReply({ afterMs: this.lineMs })
      }
      this.outstanding.clear(unit)
      return []
    }
    if (this.outstanding.requestsTable(unit, this.clock.monotonicNanos())) yield* this.send(command)
    // Whatever comes before a row of its table is left over.
    const isRow = ({ text }: Line) => isAscii(text) && text.trim()[0] === unit && isTableRow(text.trim())
    while (true) {
      const first = yield* this.take(this.tableMs, isRow)
      const rest = yield* this.received.restOfTable
      if (!this.outstanding.isResynchronised(unit)) continue
      this.outstanding.clear(unit)
      return [first.bytes, ...rest]
    }
  })

  private exchangeTable<A>(
    command: string,
    restOfTable: Effect.Effect<ReadonlyArray<Uint8Array>, PortGone>,
    decode: DecodeTable<A>
  ): Effect.Effect<A, ExchangeError> {
    return this.exchange(
      command,
      "table",
      this.tableMs,
      ({ requestedMonotonicNanos }, first) =>
        Effect.map(restOfTable, (rest) => {
          const last = this.received.lastLine ?? first
          const times = { nanos: last.monotonicNanos - requestedMonotonicNanos, at: last.at }
          return decode([first.bytes, ...rest], times)
        })
    )
  }

  /** One request. A line that the device owes is cleared away first. */
  private exchange<A>(
    command: string,
    answer: Answer,
    afterMs: number,
    finish: (sent: Sent, first: Line) => Effect.Effect<Result.Result<A, MalformedReply>, PortGone>
  ): Effect.Effect<A, ExchangeError> {
    const unit = command[0]!
    // A table row never answers a poll. It is from a table that was given up.
    const isLeftOver = (text: string) => (answer === "line" && isTableRow(text)) || this.isOfOtherUnit(text, unit)
    const asked = Effect.suspend(() => {
      this.outstanding.requested(unit, answer, this.clock.monotonicNanos())
      return Effect.flatMap(
        this.send(command),
        (sent) => Effect.flatMap(this.takeReply(command, afterMs, isLeftOver), (first) => finished(sent, first))
      )
    })
    const finished = (sent: Sent, first: Line) =>
      Effect.flatMap(finish(sent, first), (value) => {
        if (Result.isSuccess(value)) this.received.answered()
        // Noise and lines of another unit are not the reply, which may still come.
        if (first.bytes[0] === unit.charCodeAt(0)) this.outstanding.answered(unit, answer)
        return Effect.fromResult(value)
      })
    return Effect.suspend(() =>
      this.outstanding.hasLine(unit) ? Effect.andThen(this.resynchroniseUnit(unit), asked) : asked
    ).pipe(Effect.tapError((error) => {
      if (error._tag === "RejectedCommand") this.outstanding.rejected(unit, this.clock.monotonicNanos())
      return error._tag === "MalformedReply" || error._tag === "RejectedCommand"
        ? Effect.sleep(MALFORMED_PAUSE)
        : Effect.void
    }))
  }

  /** Sends a command. A port that takes nothing is given as much time as a reply. */
  private send(command: string): Effect.Effect<Sent, PortGone | NoReply> {
    return Effect.flatMap(this.received.discard, () => {
      this.logWire(() => `< ${command}`)
      const sent = {
        requestedAt: this.clock.epochMicros(),
        requestedMonotonicNanos: this.clock.monotonicNanos()
      }
      const written = within<Sent, PortGone>(
        this.lineMs,
        (done) =>
          this.transport.write(encodeCommand(command), (cause) => {
            // The system may report it as closed only later.
            if (cause !== null) this.received.close(this.path, cause)
            done(cause === null ? Effect.succeed(sent) : Effect.fail(this.gone(cause)))
          })
      )
      return this.inTime(this.lineMs, written)
    })
  }

  /** Stops a device that streams; whether there is silence then. Older firmware obeys another command. */
  private silence(unitId: string): Effect.Effect<boolean, PortGone | NoReply> {
    return Effect.flatMap(
      this.sendAndDrain(stopStreamingCommand(unitId)),
      (isSilent) => isSilent ? Effect.succeed(true) : this.sendAndDrain(olderStopStreamingCommand(unitId))
    )
  }

  /** Sends a command and throws away what comes; whether there was silence then. */
  private sendAndDrain(command: string): Effect.Effect<boolean, PortGone | NoReply> {
    return Effect.andThen(this.send(command), this.received.drain)
  }

  /** The next line that is not empty, no echo, not pushed and not left over. Fails if it is a rejection. */
  private takeReply(
    command: string,
    afterMs: number,
    isLeftOver: (text: string) => boolean
  ): Effect.Effect<Line, PortGone | NoReply | RejectedCommand> {
    const isReply = ({ text }: Line) => {
      if (!isAscii(text)) return true
      const trimmed = text.trim()
      this.echoes ||= trimmed === command
      return trimmed !== "" && trimmed !== command && !isLeftOver(trimmed) && !isPushedText(text)
    }
    return Effect.filterOrFail(
      this.take(afterMs, isReply),
      ({ text }) => !isAscii(text) || !isRejection(text),
      () => new RejectedCommand({ command })
    )
  }

  private take(afterMs: number, isWanted: (line: Line) => boolean): Effect.Effect<Line, PortGone | NoReply> {
    return this.inTime(afterMs, this.received.take(afterMs, this.logged(isWanted)))
  }

  /** Null is no reply. */
  private inTime<A, E>(afterMs: number, result: Effect.Effect<A | null, E>): Effect.Effect<A, E | NoReply> {
    return Effect.filterOrFail(result, Predicate.isNotNull, () => new NoReply({ afterMs }))
  }

  /** Logs each line that is looked at. */
  private logged(isWanted: (line: Line) => boolean): (line: Line) => boolean {
    return (line) => {
      this.logWire(() => `> ${quoteBytes(line.bytes)}`)
      return isWanted(line)
    }
  }

  /** Whether a line is a late reply of another unit than the one that was asked. */
  private isOfOtherUnit(text: string, asked: string): boolean {
    return text[0] !== asked && this.outstanding.has(text[0]!) && /^[A-Z] /.test(text)
  }

  private gone(cause: Error): PortGone {
    return new PortGone({ path: this.path, cause })
  }
}
