-- One request, over and over: wrk -s request.lua URL -- METHOD BODIES_FILE HEADER: VALUE ...
-- Each line of the file is a body; they are sent in turn. No body: -
-- Prints one line of JSON that benchmarks/service/http.py reads.

function init(args)
   wrk.method = args[1]
   bodies, sent = {}, 0
   if args[2] ~= "-" then
      for line in io.lines(args[2]) do bodies[#bodies + 1] = line end
      wrk.headers["Content-Type"] = "application/json"
   end
   for i = 3, #args do
      local name, value = args[i]:match("^([^:]+): (.*)$")
      wrk.headers[name] = value
   end
end

function request()
   sent = sent + 1
   return wrk.format(nil, nil, nil, bodies[(sent - 1) % math.max(#bodies, 1) + 1])
end

function done(summary, latency, requests)
   local e = summary.errors
   local errors = e.connect + e.read + e.write + e.status + e.timeout
   print(string.format('JSON {"requests": %d, "seconds": %.6f, "errors": %d, "p50": %.3f, "p95": %.3f, "p99": %.3f}',
      summary.requests, summary.duration / 1e6, errors,
      latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000))
end
