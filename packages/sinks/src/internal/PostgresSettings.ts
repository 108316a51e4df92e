/**
 * The options of `PostgresSink`, checked and with their defaults.
 */
import { InvalidOptionError, millisOf, positiveDuration, positiveInt } from "@sampleline/core"
import { Duration, Effect } from "effect"
import type { PostgresSinkOptions } from "../PostgresSink.ts"
import { checkIdentifiers } from "./identifiers.ts"
import { addressOf, type PostgresAddress } from "./PostgresAddress.ts"

export interface PostgresSettings extends PostgresAddress {
  readonly schema: string
  readonly table: string
  readonly createTable: boolean
  /** The address and the table without the password, for messages. */
  readonly target: string
  readonly useCopy: boolean
  readonly minConnections: number
  readonly maxConnections: number
  /** Zero for none. */
  readonly statementTimeout: Duration.Duration
  readonly commandTimeout: Duration.Duration
  readonly connectTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
}

export const postgresSettings = Effect.fnUntraced(
  function*(options: PostgresSinkOptions): Effect.fn.Return<PostgresSettings, InvalidOptionError> {
    const { createTable = false, maxConnections = 4, minConnections = 1, schema = "public", table = "samples" } =
      options
    yield* checkIdentifiers({ schema, table })
    const address = yield* addressOf(options)
    const { connectSeconds, database, host, port } = address
    if (!Number.isInteger(minConnections) || minConnections < 0) {
      return yield* InvalidOptionError.of("minConnections", minConnections, "a whole number, 0 or more")
    }
    yield* positiveInt("maxConnections", maxConnections, "connections")
    if (maxConnections < minConnections) {
      return yield* InvalidOptionError.of(
        "maxConnections",
        maxConnections,
        `at least minConnections, ${minConnections}`
      )
    }
    const { closeTimeout, commandTimeout, statementTimeout = "30 seconds" } = options
    const connectTimeout = options.connectTimeout ?? Duration.seconds(connectSeconds ?? 30)
    const statementMillis = millisOf(statementTimeout)
    if (!Number.isFinite(statementMillis) || statementMillis < 0) {
      return yield* InvalidOptionError.of(
        "statementTimeout",
        statementTimeout,
        "a time such as \"30 seconds\", or 0 for no limit"
      )
    }
    return {
      ...address,
      schema,
      table,
      createTable,
      target: `${host.includes(":") ? `[${host}]` : host}:${port}/${database}.${schema}.${table}`,
      useCopy: options.useCopy ?? true,
      minConnections,
      maxConnections,
      statementTimeout: Duration.millis(statementMillis),
      commandTimeout: yield* positiveDuration("commandTimeout", commandTimeout ?? "10 seconds", "10 seconds"),
      connectTimeout: yield* positiveDuration("connectTimeout", connectTimeout, "30 seconds"),
      closeTimeout: yield* positiveDuration("closeTimeout", closeTimeout ?? "10 seconds", "10 seconds")
    }
  }
)
