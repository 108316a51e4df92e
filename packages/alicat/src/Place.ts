/**
 * Where a port is: a serial port of this machine, or an address on the network.
 */
import { InvalidOptionError } from "@sampleline/core"
import { Effect } from "effect"
import { canonicalPath, portExists, serialTransport } from "./transport/SerialTransport.ts"
import { canonicalTcp, parseTcp, type TcpAddress, tcpTransport } from "./transport/TcpTransport.ts"
import type { OpenTransport } from "./transport/Transport.ts"

export interface Place {
  /** One name for the port, however it was written. */
  readonly path: string
  /** The name as given. If it is a link, it may lead to another path when the port comes back. */
  readonly given: string
  /** Null for a serial port. */
  readonly address: TcpAddress | null
}

/** The place that the name of a port means. `option` is named in the error. */
export const locate = Effect.fnUntraced(function*(
  option: string,
  port: string
): Effect.fn.Return<Place, InvalidOptionError> {
  if (port === "") return yield* InvalidOptionError.of(option, port, "a port such as /dev/ttyUSB0 or COM3")
  const address = parseTcp(port)
  if (port.startsWith("tcp:") && address === null) {
    const withoutUser = port.replace(/\/\/.*@/, "//")
    return yield* InvalidOptionError.of(
      option,
      withoutUser,
      "an address such as tcp://192.168.0.20:4001, without user and password"
    )
  }
  const path = address === null ? canonicalPath(port) : yield* canonicalTcp(address)
  return { path, given: port, address }
})

/** The path of the port now, and how to open it. */
export const transportOf = (
  { address, given, path }: Place
): { readonly path: string; readonly open: OpenTransport } => {
  if (address !== null) return { path, open: tcpTransport(path, address) }
  const current = canonicalPath(given)
  return { path: current, open: serialTransport(current) }
}

/** False if opening the port would surely fail because its file does not exist. */
export const mayExist = ({ address, given }: Place): boolean => address !== null || portExists(given)
