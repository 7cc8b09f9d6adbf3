/** One thing that happens, to an acquisition (`by`), to a node (`at`) or between them; each is atomic. */
export type QuorumMove =
    | { readonly kind: 'begin'; readonly by: number; readonly misled: boolean }
    | { readonly kind: 'count' | 'hand out' | 'give up' | 'end'; readonly by: number }
    /** The node runs an acquire; its answer may be lost. */
    | { readonly kind: 'vote'; readonly by: number; readonly at: number; readonly heard: boolean }
    | { readonly kind: 'ask again' | 'raise' | 'release late'; readonly by: number; readonly at: number }
    | { readonly kind: 'free' | 'restart'; readonly at: number };
