-- What a key holds while several share it. Its expiry is then the latest end of them.
local SHARED = '(shared)'
