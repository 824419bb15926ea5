# bench/run policies: the policy library and seven other ways to share a GPU, on a simulated one, in scenarios that range from busy neighbours to
# adversaries. Needs neither the service nor guests. Sourced by bench/run.
#
# Binnacle's promise (admitted: no miss, no response beyond R) is checked over ten million frames of safety VMs, the rivals' figures come from fewer.
# The rivals get streams that are cut as Binnacle cuts them (but in the scenario "uncut"), which is a gift.

ninja -C "$build" bench/policies >"$run_dir/ninja.log" 2>&1 || { tail -n 30 "$run_dir/ninja.log" >&2; fail "building the simulation failed"; }
out=$top/bench/out
kept=0
if [ -n "$quick" ]; then
	"$build/bench/policies" --frames 3e5 --rival-frames 1e4 --json "$out/policies.json" --plot "$out/policies.svg" || kept=$?
else
	"$build/bench/policies" --frames 1e7 --rival-frames 1e5 --json "$out/policies.json" --plot "$top/docs/images/policies.svg" \
		--markdown "$top/docs/policies.md" || kept=$?
fi
say "written: bench/out/policies.json"
[ "$kept" = 0 ] || fail "a promise was broken (see the table)"
