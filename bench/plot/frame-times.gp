# Frame times of the cluster under three policies. bench/hostile-neighbour.sh calls it with dir= (POLICY.dat: ms, share of the frames, share of
# the frames that took at least so long) and out= (a file that ends in .svg or .png).
if (out[strlen(out) - 2:] eq "svg") set terminal svg size 900,380 font "sans-serif,13" background "white"; else set terminal pngcairo size 900,380 font "sans,11"
set output out
period = 1000.0 / 60
set multiplot layout 1,2 title "An instrument cluster at 60 Hz beside two saturating guests and a hostile one (software rasteriser)" offset 0,-0.5
set grid back linecolor rgb "#dddddd"
set border 3
set tics nomirror
set xlabel "release → present (ms)"
set key top right samplen 2
set style line 1 linecolor rgb "#c0392b" linewidth 2
set style line 2 linecolor rgb "#7f8c8d" linewidth 1.5
set style line 3 linecolor rgb "#1f6fb2" linewidth 2.5

set title "share of the frames"
set xrange [0:6 * period]
set xtics period format "%.1f"
set yrange [0:105]
set ytics 20 format "%.0f %%"
width = period / 6
set boxwidth width
set style fill solid 0.8 noborder
bin(x) = floor(x / (period / 8) + 0.5) * (period / 8)
plot dir."/fifo.dat" using (bin($1) - width / 2):($2 * 100) smooth frequency with boxes linestyle 1 title "one queue (FIFO)", \
	dir."/reserve.dat" using (bin($1) + width / 2):($2 * 100) smooth frequency with boxes linestyle 3 title "Binnacle"

set title "share of the frames that took at least so long"
set logscale y
set xrange [0:15 * period]
set xtics 3 * period format "%.0f"
set yrange [0.00002:1.5]
set ytics ("100 %%" 1, "10 %%" 0.1, "1 %%" 0.01, "0.1 %%" 0.001, "0.01 %%" 0.0001)
set format y "%.0s"
set arrow from period, graph 0 to period, graph 1 nohead dashtype 2 linecolor rgb "#555555"
plot dir."/fifo.dat" using 1:3 with steps linestyle 1 title "one queue (FIFO)", \
	dir."/priority.dat" using 1:3 with steps linestyle 2 title "static priority", \
	dir."/reserve.dat" using 1:3 with steps linestyle 3 title "Binnacle"
unset multiplot
