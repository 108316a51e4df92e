/**
 * The limit of a recording: a plain poller. It polls the same simulated devices on the same grid and writes the same CSV. It
 * checks no reply, reopens no port and syncs no file.
 *
 *     node poller.js '{ "devices": [...], "through": "descriptor", "rateHz": 100, "slots": 1000, "out": "plain.csv" }'
 *
 * A tty is read and written in one of two ways: on the descriptor that serialport's binding opens, or through serialport's stream.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import { formatTimestamp } from "../../core/src/formatTimestamp.ts"
import type { SimulatedDevice } from "./simulator.ts"

export interface PollerOptions {
  readonly devices: ReadonlyArray<SimulatedDevice>
  readonly through: "descriptor" | "stream" | "tcp"
  readonly rateHz: number
  /** How many slots the grid has. */
  readonly slots: number
  readonly out: string
}

/** The poller's last line on standard output, under the names of the command's summary. */
export interface PollerSummary {
  readonly ticks: number
  readonly samplesLate: number
  readonly failures: { readonly [device: string]: number }
}

type Send = (text: string) => void

type OpenPort = (port: string, onText: (text: string) => void) => Promise<Send>

/** The columns that the simulated devices declare. */
const FIELDS = ["Abs_Press", "Flow_Temp", "Volu_Flow", "Mass_Flow", "Mass_Flow_Setpt", "Gas"]
const HEADER = [
  "device",
  "unit_id",
  "requested_at",
  "received_at",
  "midpoint_at",
  "latency_s",
  ...FIELDS,
  "status"
]

/** Rows are written when there are so many, or when the first is a second old, as the command does. */
const BATCH = 64
const FLUSH_MS = 1000
const TIMEOUT_MS = 500

/** A tty that serialport's binding has opened, on Linux and macOS. */
interface OpenTty {
  readonly fd: number
  readonly poller: { readonly once: (event: "readable", call: () => void) => unknown }
}

const openDescriptor: OpenPort = (path, onText) =>
  import("serialport").then(({ SerialPort }) =>
    (SerialPort.binding.open({ path, baudRate: 19_200 }) as Promise<object> as Promise<OpenTty>).then(
      ({ fd, poller }) => {
        const bytes = Buffer.alloc(4096)
        const waitForText = () => poller.once("readable", read)
        const read = () => {
          onText(bytes.toString("latin1", 0, fs.readSync(fd, bytes)))
          waitForText()
        }
        waitForText()
        return (text) => void fs.writeSync(fd, text)
      }
    )
  )

const openStream: OpenPort = (path, onText) =>
  import("serialport").then(({ SerialPort }) =>
    new Promise((resolve, reject) => {
      const port: InstanceType<typeof SerialPort> = new SerialPort({ path, baudRate: 19_200 }, (error) => {
        if (error) reject(error)
        else resolve((text) => void port.write(text))
      })
      port.on("data", (chunk: Buffer) => onText(chunk.toString("latin1")))
    })
  )

const openTcp: OpenPort = (address, onText) =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(address)
    const socket = net.connect({ host: hostname, port: Number(port), noDelay: true })
    socket.on("data", (chunk) => onText(chunk.toString("latin1")))
    socket.once("connect", () => resolve((text) => void socket.write(text)))
    socket.once("error", reject)
  })

const OPEN: { readonly [through in PollerOptions["through"]]: OpenPort } = {
  descriptor: openDescriptor,
  stream: openStream,
  tcp: openTcp
}

/** One device and its reply of this tick. */
interface Device {
  readonly name: string
  readonly unit: string
  send: Send
  requestedAt: number
  received: string
  /** The row of this tick; null while there is none. */
  row: string | null
}

const epochMicros = () => Math.round((performance.timeOrigin + performance.now()) * 1000)

const floatText = (value: number): string => Number.isInteger(value) ? `${value}.0` : String(value)

const NUMBERS = FIELDS.length - 1

const rowOf = ({ name, received, requestedAt, unit }: Device, receivedAt: number): string => {
  const [, ...tokens] = received.trimEnd().split(/ +/)
  const latencyMicros = receivedAt - requestedAt
  const cells = [
    name,
    unit,
    formatTimestamp(requestedAt),
    formatTimestamp(receivedAt),
    formatTimestamp(requestedAt + Math.round(latencyMicros / 2)),
    floatText(latencyMicros / 1_000_000),
    ...tokens.slice(0, NUMBERS).map((token) => floatText(Number(token))),
    tokens[NUMBERS],
    tokens.slice(FIELDS.length).toSorted().join(",")
  ]
  return `${cells.join(",")}\n`
}

/** Appends rows to the file in batches. */
const openFile = (path: string) => {
  const file = fs.openSync(path, "wx")
  let batch = `${HEADER.join(",")}\n`
  let rows = 0
  let timer: NodeJS.Timeout | undefined
  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    fs.writeSync(file, batch)
    batch = ""
    rows = 0
  }
  const append = (row: string) => {
    batch += row
    timer ??= setTimeout(flush, FLUSH_MS)
    if (++rows === BATCH) flush()
  }
  return { append, flush }
}

/** Polls all devices on the grid, then prints the summary and ends the process. */
const run = ({ devices: simulated, out, rateHz, slots, through }: PollerOptions) => {
  const file = openFile(out)
  const devices: Array<Device> = []
  const failures: { [device: string]: number } = Object.fromEntries(simulated.map(({ name }) => [name, 0]))
  const periodMs = 1000 / rateHz
  let start = 0
  let slot = 0
  let late = 0
  let missing = 0
  let timeout: NodeJS.Timeout | undefined

  const targetOf = (slot: number) => start + slot * periodMs

  /** A timer may fire early. */
  const wait = () => {
    const remaining = targetOf(slot) - performance.now()
    if (remaining > 0) setTimeout(wait, remaining)
    else request()
  }

  const request = () => {
    missing = devices.length
    timeout = setTimeout(endTick, TIMEOUT_MS)
    for (const device of devices) {
      device.received = ""
      device.row = null
      device.requestedAt = epochMicros()
      device.send(`${device.unit}\r`)
    }
  }

  const receive = (device: Device, text: string) => {
    device.received += text
    if (device.row !== null || !device.received.includes("\r")) return
    device.row = rowOf(device, epochMicros())
    if (--missing === 0) endTick()
  }

  const endTick = () => {
    clearTimeout(timeout)
    for (const { name, row } of devices) {
      if (row === null) failures[name]!++
      else file.append(row)
    }
    slot++
    const lateMs = performance.now() - targetOf(slot)
    const skipped = lateMs < periodMs ? 0 : Math.min(slots - slot, Math.ceil(lateMs / periodMs))
    late += skipped
    slot += skipped
    if (slot < slots) wait()
    else end()
  }

  const end = () => {
    file.flush()
    fs.writeSync(1, JSON.stringify({ ticks: slot - late, samplesLate: late, failures } satisfies PollerSummary))
    process.exit()
  }

  const open = ({ name, port, unit }: SimulatedDevice) => {
    const device: Device = { name, unit, send: () => {}, requestedAt: 0, received: "", row: null }
    devices.push(device)
    return OPEN[through](port, (text) => receive(device, text)).then((send) => device.send = send)
  }

  return Promise.all(simulated.map(open)).then(() => {
    start = performance.now()
    request()
  })
}

void run(JSON.parse(process.argv[2]!))
