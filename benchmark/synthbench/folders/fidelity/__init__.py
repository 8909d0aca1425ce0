"""Two folders against each other: how near are synthetic images and masks to real ones, and are they copies?"""
