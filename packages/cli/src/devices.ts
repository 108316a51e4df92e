/**
 * `--device NAME=PORT[,unit=A][,baud=19200]`.
 */
import type { Alicat } from "@sampleline/alicat"
import * as Effect from "effect/Effect"
import { UsageError } from "./failures.ts"

type DeviceOptions = Alicat.AlicatOptions["devices"][string]

const FORM = "NAME=PORT[,unit=A][,baud=19200], for example fuel=/dev/ttyUSB0,unit=A"

/** The devices by their names. */
export const parseDevices = Effect.fnUntraced(function*(
  texts: ReadonlyArray<string>
): Effect.fn.Return<{ readonly [name: string]: DeviceOptions }, UsageError> {
  const devices = new Map<string, DeviceOptions>()
  for (const text of texts) {
    const refuse = (what: string) => new UsageError({ message: `--device ${text}: ${what}; give it as ${FORM}` })
    const equals = text.indexOf("=")
    const name = text.slice(0, equals).trim()
    const [port = "", ...settings] = text.slice(equals + 1).split(",").map((part) => part.trim())
    if (equals < 0) return yield* refuse("it has no port")
    if (name === "") return yield* refuse("it has no name")
    if (port === "") return yield* refuse("it has no port")
    if (devices.has(name)) {
      return yield* new UsageError({ message: `two devices are named ${name}; give each --device a name of its own` })
    }
    const options: { port: string; unit?: string; baud?: number } = { port }
    for (const setting of settings) {
      const [key, value = ""] = setting.split("=", 2)
      if (key === "unit") options.unit = value
      else if (key === "baud" && /^\d+$/.test(value)) options.baud = Number(value)
      else if (key === "baud") return yield* refuse(`its baud rate ${JSON.stringify(value)} is no whole number`)
      else return yield* refuse(`it has no setting ${JSON.stringify(key)}`)
    }
    devices.set(name, options)
  }
  return Object.fromEntries(devices)
})
