local member = id
