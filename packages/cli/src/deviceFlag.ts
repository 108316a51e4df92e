/**
 * `--device NAME=PORT[,unit=A][,baud=19200][,columns=Temp:°C,Flow:SCCM,...]`.
 */
import type { Alicat } from "@sampleline/alicat"
import * as Effect from "effect/Effect"
import { UsageError } from "./errors.ts"

type DeviceOptions = Alicat.AlicatOptions["devices"][string]

export const DEVICE_FORM = "NAME=PORT[,unit=A][,baud=19200][,columns=Temp:°C,...]"

/** The devices by name. */
export const parseDevices = Effect.fnUntraced(function*(
  texts: ReadonlyArray<string>
): Effect.fn.Return<{ readonly [name: string]: DeviceOptions }, UsageError> {
  const devices = new Map<string, DeviceOptions>()
  for (const text of texts) {
    const refuse = (problem: string) =>
      new UsageError({
        message: `--device ${text}: ${problem}; write ${DEVICE_FORM}, such as fuel=/dev/ttyUSB0,unit=A`
      })
    if (isPortAlone(text)) {
      return yield* new UsageError({ message: `--device ${text}: the name is missing; write fuel=${text}` })
    }
    const equals = text.indexOf("=")
    const name = text.slice(0, equals).trim()
    const [port = "", ...settings] = text.slice(equals + 1).split(",").map((part) => part.trim())
    if (equals < 0 || port === "") return yield* refuse("the port is missing")
    if (name === "") return yield* refuse("the name is missing")
    if (devices.has(name)) {
      return yield* new UsageError({ message: `two devices are named ${name}; give each --device its own name` })
    }
    const options: { port: string; unit?: string; baud?: number; columns?: Array<string> } = { port }
    let last: string | undefined
    for (const setting of settings) {
      // The commas between columns look like those between settings.
      const isColumn = last === "columns" && !setting.includes("=")
      const [key, value] = isColumn ? ["columns", setting] : keyAndValue(setting)
      last = key
      if (key === "unit") options.unit = value
      else if (key === "columns") (options.columns ??= []).push(value)
      else if (key === "baud" && /^\d+$/.test(value)) options.baud = Number(value)
      else if (key === "baud") return yield* refuse(`the baud rate ${JSON.stringify(value)} is not a whole number`)
      else return yield* refuse(`unknown setting ${JSON.stringify(key)}`)
    }
    devices.set(name, options)
  }
  return Object.fromEntries(devices)
})

const keyAndValue = (setting: string): readonly [key: string, value: string] => {
  const equals = setting.includes("=") ? setting.indexOf("=") : setting.length
  return [setting.slice(0, equals), setting.slice(equals + 1)]
}

/** `/dev/ttyUSB0,unit=A` begins with the port. `COM3=COM3` is a device with the name COM3. */
const isPortAlone = (text: string): boolean => {
  const port = text.split(/[=,]/, 1)[0]!
  return text[port.length] !== "=" && /^(?:[/\\]|COM\d|tty|tcp:)|:\d+$/i.test(port.trim())
}
