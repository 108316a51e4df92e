/**
 * How a reader of recordings reaches a Postgres server: as the sink does. Not for users.
 *
 * @since 0.1.0
 */
export { openPostgresReading, type PostgresQuery } from "./internal/PostgresDriver.ts"
export { postgresSettings } from "./internal/PostgresSettings.ts"
export { serverOpenError, SqlFailure } from "./internal/SqlFailure.ts"
