/**
 * What a reader of recordings must know of the sinks: names and forms of what they write beside the samples. Not for users.
 *
 * @since 0.1.0
 */
export type { UnitsOfDevice } from "./internal/Description.ts"
export { eventsFileOf, parseEventRow } from "./internal/EventsFile.ts"
export { checkIdentifiers, quoted } from "./internal/identifiers.ts"
export { descriptionOf, EVENT_COLUMNS, eventsOf } from "./internal/RunTables.ts"
export { storedInSqlite, timesIn } from "./internal/SqliteTypes.ts"
export { readTableMetadata, type TableDescription } from "./internal/TableMetadata.ts"
