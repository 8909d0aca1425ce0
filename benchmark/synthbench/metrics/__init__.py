"""What each number means: matching of instances, COCO AP, classes of pixels, distances between sets of features."""
