-- The `member` that an attempt is among those who share, and what `more` is stored of it. (A node knows no limits.)
local name, number = string.match(id, '^(.*)#(%d+):$')
local member, more = name and name .. ':' or id, number and { -number, name .. ':\ra' } or {}
