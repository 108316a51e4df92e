/**
 * A simulated mass-flow controller: what it answers to a command at a given time, and what it sends while it streams. It opens no
 * port.
 *
 * It answers the commands with which programs identify, poll, set and tare a device, and rejects all others. It always controls the
 * mass flow: the register that chooses what is controlled is only kept. A tare changes nothing, because no sensor has an offset.
 */
import { GASES, type GasName } from "./gases.ts"
import {
  columnsOf,
  FIRMWARES,
  identityOf,
  rejectionOf,
  type SimulatedFirmware,
  versionOf
} from "./SimulatedFirmware.ts"
import { FULL_SCALE, SimulatedFlow } from "./SimulatedFlow.ts"

/**
 * What device to simulate.
 *
 * @since 0.1.0
 * @category options
 */
export interface SimulatedDeviceOptions {
  /** The unit id. Default: `A`. */
  readonly unitId?: string | undefined
  /** Default: 100000. */
  readonly serialNumber?: number | undefined
  /** Default: `N2`. */
  readonly gas?: GasName | undefined
  /** Default: `10v20`. */
  readonly firmware?: SimulatedFirmware | undefined
  /** Adds a column that counts the readings. Default: false. */
  readonly numbered?: boolean | undefined
}

type Lines = ReadonlyArray<string>

interface Command {
  /** What follows the unit id, in capitals and without `$$`. */
  readonly form: RegExp
  /** The firmware that knows the command. Default: all. */
  readonly firmware?: ReadonlyArray<SimulatedFirmware>
  /** Whether the command changes a setting. Old firmware then wants `$$` before it. */
  readonly sets?: boolean
  /** Gets the argument, or an empty text. */
  readonly answer: (argument: string, seconds: number) => Lines
}

const WITH_TABLES: ReadonlyArray<SimulatedFirmware> = ["10v20", "6v21", "GP07"]

/** The streaming interval as set by the factory, in milliseconds. */
const PUSH_MILLIS = 50
/** The controlled variable as set by the factory: the mass flow. */
const MASS_FLOW = 37

/** The registers that can be read and written. */
const GAS_REGISTER = 46
const INTERVAL_REGISTER = 91
const CONTROLLED_REGISTER = 122

/**
 * A simulated device. Its state changes with the commands that it gets and with time.
 *
 * @since 0.1.0
 * @category models
 */
export class SimulatedDevice {
  readonly unitId: string
  private readonly serialNumber: number
  private readonly firmware: SimulatedFirmware
  private readonly numbered: boolean
  private readonly flow: SimulatedFlow
  private readonly registers: Map<number, number>
  private isLocked = false
  private streams = false
  private count = 0

  constructor(options: SimulatedDeviceOptions = {}) {
    this.unitId = options.unitId ?? "A"
    this.serialNumber = options.serialNumber ?? 100_000
    this.firmware = options.firmware ?? "10v20"
    this.numbered = options.numbered ?? false
    this.flow = new SimulatedFlow(this.serialNumber)
    this.registers = new Map([
      [GAS_REGISTER, GASES.findIndex(({ name }) => name === (options.gas ?? "N2"))],
      [INTERVAL_REGISTER, PUSH_MILLIS],
      [CONTROLLED_REGISTER, MASS_FLOW]
    ])
  }

  /** The streaming interval in milliseconds; null while the device does not stream. */
  get pushesEveryMillis(): number | null {
    return this.streams ? this.registers.get(INTERVAL_REGISTER)! : null
  }

  /** How many readings the device has sent. */
  get readings(): number {
    return this.count
  }

  /** The lines of the reply to a command, without their CR; none if the device does not answer. `seconds` is monotonic. */
  respond(command: string, seconds: number): Lines {
    const text = command.toUpperCase()
    if (this.streams) {
      // A device that streams obeys nothing but the command that stops it.
      if (text === `@@ ${this.unitId}` || text === `@@=${this.unitId}`) this.streams = false
      return []
    }
    if (text[0] !== this.unitId) return []
    const [, prefix, verb = ""] = /^\s*(\$\$)?(.*?)\s*$/.exec(text.slice(1))!
    for (const { answer, firmware = FIRMWARES, form, sets } of this.commands) {
      const found = form.exec(verb)
      if (found === null || !firmware.includes(this.firmware)) continue
      return sets && this.firmware === "GP07" && prefix === undefined ? this.rejection : answer(found[1] ?? "", seconds)
    }
    return this.rejection
  }

  /** A reading that the device sends by itself: `@` or a space stands in the place of the unit id. */
  push(seconds: number): string {
    return `${this.firmware === "10v20" ? " " : "@"} ${this.reading(seconds)}`
  }

  private readonly commands: ReadonlyArray<Command> = [
    { form: /^$/, answer: (_, seconds) => this.frame(seconds) },
    { form: /^VE$/, firmware: ["10v20", "6v21"], answer: () => this.line(versionOf(this.firmware)) },
    { form: /^VE$/, firmware: ["GP07"], answer: () => [] },
    { form: /^SN$/, firmware: ["BASIS"], answer: () => this.line(`B${this.serialNumber}`) },
    {
      form: /^\?\?D\*$/,
      firmware: WITH_TABLES,
      answer: () => columnsOf(this.firmware, this.numbered).flatMap((row) => this.line(row))
    },
    {
      form: /^\?\?M\*$/,
      firmware: WITH_TABLES,
      answer: () => identityOf(this.firmware, this.serialNumber).flatMap((row) => this.line(row))
    },
    { form: /^\?\?G\*$/, firmware: WITH_TABLES, answer: () => this.gasList() },
    {
      form: /^S *([+-]?\d+(?:\.\d*)?)$/,
      sets: true,
      answer: (value, seconds) => this.setSetpoint(Number(value), seconds)
    },
    {
      form: /^(\d+)$/,
      sets: true,
      firmware: WITH_TABLES,
      answer: (value, seconds) => this.setSetpoint(FULL_SCALE * Number(value) / 64_000, seconds)
    },
    {
      form: /^LS(?: *([+-]?\d+(?:\.\d*)?))?$/,
      firmware: ["10v20"],
      answer: (value, seconds) => this.setpointState(value, seconds)
    },
    {
      form: /^G *(\d+)$/,
      sets: true,
      firmware: WITH_TABLES,
      answer: (gas, seconds) => this.write(GAS_REGISTER, Number(gas)) ? this.frame(seconds) : this.rejection
    },
    { form: /^GS(?: *(\d+)(?: [01])?)?$/, firmware: ["10v20"], answer: (gas) => this.gasState(gas) },
    { form: /^(?:T|V|P|TP|PC)$/, firmware: ["10v20", "6v21"], answer: (_, seconds) => this.frame(seconds) },
    { form: /^(?:T|V)$/, firmware: ["BASIS"], answer: (_, seconds) => this.frame(seconds) },
    { form: /^L.*$/, firmware: ["6v21"], answer: (_, seconds) => this.lock(true, seconds) },
    { form: /^L$/, firmware: ["10v20", "BASIS"], answer: (_, seconds) => this.lock(true, seconds) },
    { form: /^U$/, answer: (_, seconds) => this.lock(false, seconds) },
    { form: /^R(\d+)$/, firmware: WITH_TABLES, answer: (register) => this.register(Number(register)) },
    {
      form: /^W(\d+=\d+)$/,
      sets: true,
      firmware: WITH_TABLES,
      answer: (setting) => {
        const [register, value] = setting.split("=").map(Number) as [number, number]
        return this.write(register, value) ? this.register(register) : this.rejection
      }
    },
    {
      form: /^NCS(?: +(\d{1,5}))?$/,
      firmware: ["10v20"],
      answer: (millis) => {
        if (millis !== "") this.write(INTERVAL_REGISTER, Number(millis))
        return this.line(`${this.registers.get(INTERVAL_REGISTER)}`)
      }
    },
    {
      form: /^@(?: |=)@$/,
      firmware: WITH_TABLES,
      answer: () => {
        this.streams = true
        return []
      }
    }
  ]

  private get rejection(): Lines {
    return rejectionOf(this.firmware)
  }

  private line(text: string): Lines {
    return [`${this.unitId} ${text}`]
  }

  private frame(seconds: number): Lines {
    return this.line(this.reading(seconds))
  }

  private reading(seconds: number): string {
    const { massFlow, pressure, temperature, total, volumetricFlow } = this.flow.measure(seconds)
    const setpoint = this.flow.setpointAt(seconds)
    const isBasis = this.firmware === "BASIS"
    const numbers = isBasis
      ? [
        decimal(temperature, 6, 2),
        decimal(massFlow, 6, 1),
        decimal(total, 10, 1),
        decimal(setpoint, 6, 1),
        decimal(100 * setpoint / FULL_SCALE, 6, 2)
      ]
      : [pressure, temperature, volumetricFlow, massFlow, setpoint].map((value) => decimal(value, 7, 2))
    const number = this.count++
    return [
      ...numbers,
      ...(this.numbered ? [decimal(number, 10, 0)] : []),
      isBasis ? this.gas.name : this.gas.name.padStart(6),
      ...(this.isLocked ? ["LCK"] : [])
    ].join(" ")
  }

  private setSetpoint(value: number, seconds: number): Lines {
    this.flow.setpoint = value
    return this.frame(seconds)
  }

  /** Sets the setpoint if there is a value. Gives the setpoint before and after, and its unit. */
  private setpointState(value: string, seconds: number): Lines {
    const before = this.flow.setpointAt(seconds)
    if (value !== "") this.flow.setpoint = Number(value)
    return this.line(`${decimal(before, 7, 2)} ${decimal(this.flow.setpointAt(seconds), 7, 2)} 12 SCCM`)
  }

  private get gas() {
    return GASES[this.registers.get(GAS_REGISTER)!]!
  }

  /** Sets the gas if there is a number. */
  private gasState(number: string): Lines {
    if (number !== "" && !this.write(GAS_REGISTER, Number(number))) return this.rejection
    return this.line(`${this.registers.get(GAS_REGISTER)} ${this.gas.name} ${this.gas.longName}`)
  }

  /** GP firmware sends the list in one line. */
  private gasList(): Lines {
    const rows = GASES.flatMap(({ name }, number) =>
      this.line(`G${String(number).padStart(2, "0")} ${name.padStart(8)}`)
    )
    return this.firmware === "GP07" ? [rows.join(" ")] : rows
  }

  private lock(isLocked: boolean, seconds: number): Lines {
    this.isLocked = isLocked
    return this.frame(seconds)
  }

  private register(register: number): Lines {
    const value = this.registers.get(register)
    return value === undefined ? this.rejection : this.line(`  ${String(register).padStart(3, "0")} = ${value}`)
  }

  /** False if there is no such register, or no such gas. */
  private write(register: number, value: number): boolean {
    const isKnown = register === GAS_REGISTER ? value < GASES.length : this.registers.has(register)
    if (isKnown) this.registers.set(register, value)
    return isKnown
  }
}

/** A number as on the wire: a sign, then zeros up to the width. */
const decimal = (value: number, width: number, decimals: number): string =>
  (value < 0 ? "-" : "+") + Math.abs(value).toFixed(decimals).padStart(width - 1, "0")
