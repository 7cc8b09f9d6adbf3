/** A key that the deputy may renew. */
export interface KeptKey {
    readonly row: number;
    /** Of the row, while this lease has it. */
    readonly generation: number;
    readonly key: string;
    readonly holder: string;
    /** It has a share of the key. Else it may get one, by a downgrade that the deputy is not told of. */
    readonly shared: boolean;
}

/** What the main thread tells its deputy. */
export type ToDeputy =
    /** The table has another block of rows. */
    | { readonly kind: 'block'; readonly block: SharedArrayBuffer }
    | { readonly kind: 'kept'; readonly keys: readonly KeptKey[] };

/** What the deputy tells: the key is not ours any more, as the table says, too. */
export interface LostRow {
    readonly row: number;
    readonly generation: number;
}
