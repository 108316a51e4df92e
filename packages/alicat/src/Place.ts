/**
 * Where a port is: a serial port of this machine, or an address on the network.
 */
import { InvalidOptionError, type SourceDependencyError, type SourceOpenError } from "@sampleline/core"
import { type Duration, Effect, type Scope } from "effect"
import type { OutstandingReplies } from "./OutstandingReplies.ts"
import { openPort, type Port } from "./Port.ts"
import { canonicalPath, portExists, serialTransport } from "./transport/SerialTransport.ts"
import { canonicalTcp, parseTcp, type TcpAddress, tcpTransport } from "./transport/TcpTransport.ts"

export interface Place {
  /** One name for the port, however it was written. */
  readonly path: string
  /** The name as given. If it is a link, it may lead to another path when the port comes back. */
  readonly given: string
  /** Null for a serial port. */
  readonly address: TcpAddress | null
}

/** Where the port with this name is. `option` is named in the error. */
export const locate = Effect.fnUntraced(function*(
  option: string,
  port: string
): Effect.fn.Return<Place, InvalidOptionError> {
  if (port === "") return yield* InvalidOptionError.of(option, port, "a port such as /dev/ttyUSB0 or COM3")
  const address = parseTcp(port)
  if (address === null && parseTcp(`tcp://${port}`) !== null) {
    return yield* InvalidOptionError.of(option, port, `tcp:// in front of a network address: tcp://${port}`)
  }
  if (address === null && /^tcp:|:\/\//i.test(port)) {
    return yield* InvalidOptionError.of(
      option,
      withoutUser(port),
      "an address such as tcp://192.168.0.20:4001, without user and password"
    )
  }
  const path = address === null ? canonicalPath(port) : yield* canonicalTcp(address)
  return { path, given: port, address }
})

const withoutUser = (url: string): string => {
  const [slashes, at] = [url.indexOf("//"), url.lastIndexOf("@")]
  return slashes >= 0 && slashes < at ? url.slice(0, slashes + 2) + url.slice(at + 1) : url
}

/** Opens the port. The scope closes it. `outstanding` is what was outstanding when it was last closed. */
export const openPlace = (
  { address, given, path }: Place,
  baud: number | undefined,
  timeout: Duration.Duration,
  outstanding?: OutstandingReplies
): Effect.Effect<Port, SourceOpenError | SourceDependencyError, Scope.Scope> => {
  const current = address === null ? canonicalPath(given) : path
  const transport = address === null ? serialTransport(current) : tcpTransport(current, address)
  return openPort({ path: current, given }, transport, baud ?? 0, timeout, outstanding)
}

/** False if opening the port would surely fail because its file does not exist. */
export const mayExist = ({ address, given }: Place): boolean => address !== null || portExists(given)
