"""Images with label maps in the forms of other programs: folders of images and masks, Cellpose, COCO, GeoJSON."""
