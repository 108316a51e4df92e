/**
 * The lines that a port has received and no request has taken yet. If nobody takes them, the oldest are dropped.
 */
import { Deferred, Effect } from "effect"
import { TABLE_SILENCE_MS } from "./OutstandingReplies.ts"
import { PortGone } from "./RequestError.ts"
import { sleepAwake, within } from "./Timeouts.ts"
import { CR, LineSplitter, textOf } from "./wire/Framing.ts"
import { isPushedText } from "./wire/PollLine.ts"

/** A line, and when its last byte arrived. */
export interface Line {
  readonly bytes: Uint8Array
  /** A character for each byte. */
  readonly text: string
  /** Microseconds since the epoch. */
  readonly at: number
  readonly monotonicNanos: number
}

/** So many lines may wait, if a device streams while nobody takes them. */
const MAX_WAITING = 10_000
/** Far more rows than any table has. A device that streams is never silent. */
const MAX_TABLE_ROWS = 200
/** With factory settings, a device that streams sends a line at least this often. */
export const LISTEN_MS = 60
/** A device that sends this many bytes without a pause is streaming. */
const MAX_DRAINED_BYTES = 256
/** So many moments in a row are no late replies: something talks all the time. */
const MOMENTS = 8
/** So many of the last bytes are kept to be told. */
const TOLD_BYTES = 40

export class ReceivedLines {
  /** The lines that nobody has taken, oldest first. */
  private readonly waiting: Array<Line> = []
  /** Who waits for a line. There is one at most: requests come one after the other. */
  private taker: Taker | null = null
  private gone: PortGone | null = null
  private readonly closedPort: Deferred.Deferred<void>
  /** Holds the start of a line that is not complete yet. */
  private readonly splitter = new LineSplitter()
  private pushed = false
  private last: Line | null = null
  private heard: Uint8Array | null = null
  private bytes = 0
  private tail: Uint8Array = new Uint8Array()
  private wholeLine = false

  private constructor(closedPort: Deferred.Deferred<void>) {
    this.closedPort = closedPort
  }

  static readonly make: Effect.Effect<ReceivedLines> = Effect.map(
    Deferred.make<void>(),
    (closedPort) => new ReceivedLines(closedPort)
  )

  /** Returns when the port is gone. */
  get closed(): Effect.Effect<void> {
    return Deferred.await(this.closedPort)
  }

  get isClosed(): boolean {
    return this.gone !== null
  }

  /** Whether a device has sent a reading by itself since the port was opened. */
  get heardPushed(): boolean {
    return this.pushed
  }

  /** The last line since a request was answered, also if it is not complete; null if nothing came. */
  get lastHeard(): Uint8Array | null {
    return this.splitter.incomplete ?? this.heard
  }

  /** The last bytes since the port was opened, as they came. */
  get lastBytes(): Uint8Array {
    return this.tail
  }

  /** How many bytes have come since the port was opened. */
  get bytesHeard(): number {
    return this.bytes
  }

  /** Whether a whole line has come since the port was opened. */
  get heardLine(): boolean {
    return this.wholeLine
  }

  /** Bytes came in. Calls `isReply` with the text of each line that they complete. A line that is no reply is not queued. */
  receive(chunk: Uint8Array, at: number, monotonicNanos: number, isReply: (text: string) => boolean): void {
    this.bytes += chunk.length
    this.tail = chunk.slice(-TOLD_BYTES)
    const lines = this.splitter.push(chunk)
    this.wholeLine ||= lines.length > 0 && chunk.includes(CR)
    for (const bytes of lines) {
      const text = textOf(bytes)
      this.pushed ||= isPushedText(text)
      this.heard = bytes
      if (!isReply(text)) continue
      this.last = { bytes, text, at, monotonicNanos }
      if (this.waiting.push(this.last) > MAX_WAITING) this.waiting.shift()
    }
    // When all are there: whoever gets one may throw the others away.
    this.give()
  }

  /** The port is gone. Lines that came before can still be taken. */
  close(path: string, cause: Error | null): void {
    if (this.gone !== null) return
    this.gone = new PortGone({ path, ...(cause === null ? {} : { cause }) })
    this.give()
    Deferred.doneUnsafe(this.closedPort, Effect.void)
  }

  /** What came so far was the reply to a request. */
  answered(): void {
    this.heard = null
  }

  /** Throws away what has come so far. Fails if the port is gone. */
  get discard(): Effect.Effect<void, PortGone> {
    return Effect.suspend(() => {
      if (this.gone !== null) return Effect.fail(this.gone)
      this.waiting.length = 0
      this.heard = this.lastHeard
      this.splitter.reset()
      return Effect.void
    })
  }

  /** Listens for a moment, and longer while something comes. Whether something comes in each moment. */
  get talks(): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function*() {
      for (let moment = 0; moment < MOMENTS; moment++) {
        const before = this.bytes
        yield* sleepAwake(LISTEN_MS)
        if (this.bytes === before) return false
      }
      return true
    })
  }

  /** The next line that is wanted, or null after this time. The others are thrown away. */
  take(afterMs: number, isWanted: (line: Line) => boolean = () => true): Effect.Effect<Line | null, PortGone> {
    return within<Line, PortGone>(afterMs, (done) => {
      const end = (result: Effect.Effect<Line, PortGone>) => {
        this.taker = null
        done(result)
      }
      this.taker = {
        line: (line) => {
          if (isWanted(line)) end(Effect.succeed(line))
        },
        gone: (error) => end(Effect.fail(error))
      }
      this.give()
      return this.stopTaking
    })
  }

  /** Gives the waiting lines to whoever takes them. */
  private give(): void {
    while (this.taker !== null && this.waiting.length > 0) this.taker.line(this.waiting.shift()!)
    if (this.gone !== null) this.taker?.gone(this.gone)
  }

  private readonly stopTaking = () => {
    this.taker = null
  }

  /** The last line that came, taken or not. */
  get lastLine(): Line | null {
    return this.last
  }

  /** The lines of a table that follow its first one. */
  get restOfTable(): Effect.Effect<ReadonlyArray<Uint8Array>, PortGone> {
    return this.moreRows(MAX_TABLE_ROWS)
  }

  /** The next lines of a table: so many, or fewer if it ends before. */
  moreRows(rows: number): Effect.Effect<ReadonlyArray<Uint8Array>, PortGone> {
    return Effect.gen({ self: this }, function*() {
      const rest: Array<Uint8Array> = []
      while (rest.length < rows) {
        const line = yield* this.take(TABLE_SILENCE_MS)
        if (line === null) break
        rest.push(line.bytes)
      }
      return rest
    })
  }

  /** Throws lines away until there is silence. False if there is none: a device streams. */
  get drain(): Effect.Effect<boolean, PortGone> {
    return Effect.gen({ self: this }, function*() {
      let bytes = 0
      while (bytes < MAX_DRAINED_BYTES) {
        const line = yield* this.take(LISTEN_MS)
        if (line === null) return true
        bytes += line.bytes.length
      }
      return false
    })
  }
}

interface Taker {
  readonly line: (line: Line) => void
  readonly gone: (error: PortGone) => void
}
