-- The `members` of the `sharers` that a `holder` is.
members = { string.match(holder, '^(%S+:%d+:[%w_-]+:%w+:)%d+$') or holder }
