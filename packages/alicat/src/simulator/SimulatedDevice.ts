/**
 * A simulated mass-flow controller: what it answers to a command at a given time, and what it sends while it streams. It opens no
 * port.
 */

/**
 * The firmware of a device. `GP07` is legacy firmware: it pads its tables, does not answer `VE`, and does not take an interval.
 *
 * @since 0.1.0
 * @category options
 */
export type SimulatedFirmware = "10v20" | "GP07"

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
  readonly gas?: string | undefined
  /** Default: `10v20`. */
  readonly firmware?: SimulatedFirmware | undefined
  /** Adds a column that counts the readings. Default: false. */
  readonly numbered?: boolean | undefined
}

/** Full scale of the flow, in SCCM. */
const FULL_SCALE = 500
/** The flow follows its setpoint with this time constant, in seconds. */
const LAG_SECONDS = 0.8
/** The setpoints that the device steps through until it is given one. */
const PROGRAMME = [100, 250, 400, 250, 50]
const STEP_SECONDS = 4

/** The streaming interval as set by the factory, in milliseconds. */
const PUSH_MILLIS = 50

/**
 * A simulated device. Its state changes with the commands that it gets and with time.
 *
 * @since 0.1.0
 * @category models
 */
export class SimulatedDevice {
  readonly unitId: string
  private readonly serialNumber: number
  private readonly gas: string
  private readonly isLegacy: boolean
  private readonly numbered: boolean
  private readonly random: () => number
  private setpoint: number | null = null
  private flow = 0
  private lastSeconds: number | null = null
  private pushMillis = PUSH_MILLIS
  private streams = false
  private count = 0

  constructor(options: SimulatedDeviceOptions = {}) {
    this.unitId = options.unitId ?? "A"
    this.serialNumber = options.serialNumber ?? 100_000
    this.gas = options.gas ?? "N2"
    this.isLegacy = options.firmware === "GP07"
    this.numbered = options.numbered ?? false
    this.random = randomFrom(this.serialNumber)
  }

  /** The streaming interval in milliseconds; null while the device does not stream. */
  get pushesEveryMillis(): number | null {
    return this.streams ? this.pushMillis : null
  }

  /** How many readings the device has sent. */
  get readings(): number {
    return this.count
  }

  /** The lines of the reply to a command, without their CR; none if the device does not answer. `seconds` is monotonic. */
  respond(command: string, seconds: number): ReadonlyArray<string> {
    if (this.streams) {
      // A device that streams obeys nothing but the command that stops it.
      if (command === `@@ ${this.unitId}`) this.streams = false
      return []
    }
    if (command[0] !== this.unitId) return []
    const verb = command.slice(1).trim()
    const setpoint = /^LS\s*([+-]?\d+(?:\.\d+)?)$/i.exec(verb) ?? /^S\s*([+-]?\d+(?:\.\d+)?)$/i.exec(verb)
    if (setpoint !== null) this.setpoint = Math.min(FULL_SCALE, Math.max(0, Number(setpoint[1])))
    if (verb === "" || setpoint !== null) return [`${this.unitId} ${this.reading(seconds)}`]
    if (/^\?\?D\*$/i.test(verb)) return this.table(this.isLegacy ? this.legacyColumns() : this.columns())
    if (/^\?\?M\*$/i.test(verb)) return this.table(this.isLegacy ? this.legacyIdentity() : this.identity())
    if (/^VE$/i.test(verb)) return this.isLegacy ? [] : [`${this.unitId}   10v20.0-R24 Jan  9 2025,15:04:07`]
    if (verb === "@ @") {
      this.streams = true
      return []
    }
    const interval = /^NCS\s+(\d{1,5})$/i.exec(verb)
    if (interval !== null && !this.isLegacy) {
      this.pushMillis = Number(interval[1])
      return [`${this.unitId} ${this.pushMillis}`]
    }
    return [`${this.unitId} ?`]
  }

  /** A reading that the device sends by itself: `@` or a space stands in the place of the unit id. */
  push(seconds: number): string {
    return `${this.isLegacy ? "@" : " "} ${this.reading(seconds)}`
  }

  private reading(seconds: number): string {
    const target = this.setpoint ?? PROGRAMME[Math.floor(seconds / STEP_SECONDS) % PROGRAMME.length]!
    const elapsed = this.lastSeconds === null ? STEP_SECONDS : seconds - this.lastSeconds
    this.lastSeconds = seconds
    this.flow += (target - this.flow) * (1 - Math.exp(-elapsed / LAG_SECONDS))
    const massFlow = this.flow + this.noise(0.15)
    const pressure = 14.7 + 0.004 * this.flow + this.noise(0.01)
    const temperature = 22.5 + 0.8 * Math.sin(seconds / 60) + this.noise(0.02)
    const volumetricFlow = massFlow * (14.696 / pressure) * ((273.15 + temperature) / 298.15)
    const numbers = [pressure, temperature, volumetricFlow, massFlow, target].map((value) => decimal(value, 7, 2))
    const number = this.count++
    return [...numbers, ...(this.numbered ? [decimal(number, 10, 0)] : []), this.gas.padStart(6)].join(" ")
  }

  private table(rows: ReadonlyArray<string>): ReadonlyArray<string> {
    return rows.map((row) => `${this.unitId} ${row}`)
  }

  private columns(): ReadonlyArray<string> {
    return [
      "D00 ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________",
      "D01 700 Unit ID                    string          1",
      "D02 002 Abs Press                  s decimal     7/2 010 02 PSIA",
      "D03 003 Flow Temp                  s decimal     7/2 002 02 `C",
      "D04 004 Volu Flow                  s decimal     7/2 012 02 CCM",
      "D05 005 Mass Flow                  s decimal     7/2 012 02 SCCM",
      "D06 037 Mass Flow Setpt            s decimal     7/2 012 02 SCCM",
      ...(this.numbered ? ["D11 999 Reading Number             s decimal    10/0 000 02 -"] : []),
      "D07 703 Gas                        string          6",
      "D08 701 *Error                     string          3 ADC",
      "D09 702 *Status                    string          3 OPL",
      "D10 702 *Status                    string          3 MOV"
    ]
  }

  private legacyColumns(): ReadonlyArray<string> {
    return [
      " D00 NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__",
      " D01 Unit ID     char         A         Z         na",
      " D02 Pressure    signed    +000.00  +160.00     PSIA",
      " D03 Flow Temp   signed    -010.00  +060.00        C",
      " D04 Volu        signed    +000.00  +500.00      CCM",
      " D05 Mass        signed    +0000.0  +0500.0     SCCM",
      " D06 Mass Setpt  signed    +0000.0  +0500.0     SCCM",
      ...(this.numbered ? [" D10 Reading No  signed    +0       +999999999    na"] : []),
      " D07 Gas         string        Air       D2       na",
      " D08 Error       string         na      ADC       na",
      " D09 Status      string         na      LCK       na"
    ].map((row) => `${row}\b\b`)
  }

  private identity(): ReadonlyArray<string> {
    return [
      "M00 Alicat Scientific",
      "M01 www.example.com",
      "M02 Ph   000-000-0000",
      "M03 Simulated device",
      "M04 Model Number MC-500SCCM-D",
      `M05 Serial Number ${this.serialNumber}`,
      "M06 Date Manufactured 03/02/2025",
      "M07 Date Calibrated   03/02/2025",
      "M08 Calibrated By     SIM",
      "M09 Software Revision 10v20.0-R24"
    ]
  }

  private legacyIdentity(): ReadonlyArray<string> {
    return [
      "M0 Alicat Scientific",
      "M1 www.example.com",
      "M2 000-000-0000",
      "M3 Simulated device",
      "M4 Mdl \b\bMC-500SCCM-D",
      `M5 Serial No. \b${this.serialNumber}`,
      "M6 Date Mfg.  10/03/2008",
      "M7 Calibrated By  SIM",
      "M8 Software GP07R100"
    ]
  }

  /** Normally distributed noise: the sum of uniform numbers. */
  private noise(deviation: number): number {
    let sum = -6
    for (let n = 0; n < 12; n++) sum += this.random()
    return sum * deviation
  }
}

/** A number as on the wire: a sign, then zeros up to the width. */
const decimal = (value: number, width: number, decimals: number): string =>
  (value < 0 ? "-" : "+") + Math.abs(value).toFixed(decimals).padStart(width - 1, "0")

/** Repeatable random numbers from 0 to 1 (mulberry32). */
const randomFrom = (seed: number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
