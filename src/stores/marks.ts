/**
 * First bytes of records that are no sessions, where the sessions themselves are in another program's format: none of JSON, MessagePack
 * and pickle begins so. A store that shares its records keeps these beside them, never in their place.
 */
export const MOVED_MARK = 0x01
/** The whole record. */
export const ENDED_MARK = 0x02
