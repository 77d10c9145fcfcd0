"""MSP-Podcast (Lotfian and Busso, IEEE TAFFC 2019), in each layout that its releases had."""
